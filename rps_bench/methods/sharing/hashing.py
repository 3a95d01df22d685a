"""Counter-based hashes: integer mixes of (key, index), the same numbers on every device.

The mix is the finaliser of SplitMix64 (Steele, Lea and Flood 2014; constants by Stafford), which
has full avalanche on 64 bits. Arithmetic is on int64 tensors, which wrap as unsigned ones do.
"""

import torch


def _signed(value: int) -> int:
    """A 64-bit pattern as a signed integer."""
    return value - (1 << 64) if value >= 1 << 63 else value


GOLDEN = _signed(0x9E3779B97F4A7C15)
MULTIPLIER_1 = _signed(0xBF58476D1CE4E5B9)
MULTIPLIER_2 = _signed(0x94D049BB133111EB)
MASK_63 = (1 << 63) - 1

# (256, 8): the eight signs of every byte, lowest bit first; made here, where nothing is
# traced: a tracer makes no real tensor, and one that it left behind would give wrong weights.
OCTET_SIGNS = 1 - 2 * ((torch.arange(256)[:, None] >> torch.arange(8)) & 1)
_tables: dict[tuple[torch.dtype, torch.device], torch.Tensor] = {}  # of it, by where it is used


def _xor_shifted_(bits: torch.Tensor, shift: int) -> torch.Tensor:
    """bits ^= bits >> shift, the shift bringing in zeros."""
    return bits.bitwise_xor_((bits >> shift).bitwise_and_((1 << (64 - shift)) - 1))


def hash_bits(key: int | torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """64 hash bits for each index.

    Args:
        key: A 64-bit key, signed; or an int64 tensor of keys that broadcasts with ``index``.
        index: int64, any shape.

    Returns:
        int64 bit patterns of the broadcast shape.
    """
    # Where SplitMix64 would stand after index + 1 steps. GOLDEN is odd, which keeps indices apart.
    bits = (index + 1) * GOLDEN + key
    # The mix: shifts carry high bits down, products carry low bits up. Each step can be undone, so
    # two indices of one key never have the same 64 bits.
    _xor_shifted_(bits, 30).mul_(MULTIPLIER_1)
    _xor_shifted_(bits, 27).mul_(MULTIPLIER_2)
    return _xor_shifted_(bits, 31)


def hash_below(key: int, index: torch.Tensor, bound: int) -> torch.Tensor:
    """A hash in [0, bound) for each index: the lower 63 hash bits modulo ``bound``.

    The modulo's bias is at most bound / 2^63 of a probability, far below any count here.
    """
    return hash_bits(key, index).bitwise_and_(MASK_63).remainder_(bound)


def hash_signs(
    key: int,
    count: int,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    start: int = 0,
) -> torch.Tensor:
    """(count,) signs +1 or -1 of the indices from ``start`` on.

    Sign i is bit (i mod 64) of the hash of i div 64; a set bit is -1.
    """
    octets = hash_sign_octets(key, start, start + count, device)
    return signs_of_octets(octets, start, count, dtype)


def hash_sign_octets(key: int, start: int, stop: int, device: torch.device | str) -> torch.Tensor:
    """The sign bits of the indices start to stop, eight to an int32.

    Returns:
        (k,) from the octet of index ``start`` // 64 * 64 to that of the last 64, which may go on
        beyond ``stop``.
    """
    words = torch.arange(start // 64, -(-stop // 64), device=device)
    return hash_bits(key, words).view(torch.uint8).int()  # lowest byte first wherever torch runs


def signs_of_octets(
    octets: torch.Tensor, start: int, count: int, dtype: torch.dtype, scale: float = 1.0
) -> torch.Tensor:
    """(count,) the signs of indices from ``start`` on, times ``scale``.

    One hash serves 64 signs, and a table of 256 rows turns each of its bytes into eight, so that
    signs cost little more than one write of the result.

    Args:
        octets: Of ``hash_sign_octets``, the first that of index ``start`` // 64 * 64.
    """
    # Eight signs at a time: whole octets that cover the range, of which the ends are cut off.
    table = _octet_signs(dtype, octets.device)
    first, last = start % 64 // 8, -(-(start % 64 + count) // 8)
    # The scale goes into the 256 rows, not into the result: for a whole layer it costs nothing.
    rows = (table if scale == 1 else table * scale).index_select(0, octets[first:last])
    return rows.view(-1)[start % 8 :][:count]


def _octet_signs(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """The table of signs in a dtype on a device."""
    if (dtype, device) in _tables:
        return _tables[dtype, device]
    table = OCTET_SIGNS.to(device, dtype)  # there when this returns, for every stream
    if type(table) is torch.Tensor:  # not what stands for one while a program is exported
        _tables[dtype, device] = table
    return table
