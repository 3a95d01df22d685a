// Fast training passes for small images on CPUs, called from native.py with raw pointers.
//
// 1. Convolutions 3x3, stride 1, padding 1, by Winograd's F(4x4, 3x3) (Lavin and Gray 2016): a tile
//    of 6x6 inputs gives 4x4 outputs with 36 multiplications a channel pair instead of 144.
// 2. BatchNorm of a training step with what follows it (a sum, a ReLU), forward and backward.
//
// Images are channels last: (N, H, W, C). The numbers of channels of convolutions are multiples of
// GRAIN; BatchNorm takes any. Sums are cut into pieces by the shapes alone and added in a fixed
// order, so that no bit depends on the number of threads. Nothing here assumes finite numbers.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#if defined(__AVX__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
constexpr int LANES = 16, TILES_AT_ONCE = 12, CHANNELS_AT_ONCE = 8;  // of 32 registers
#else
constexpr int LANES = 8, TILES_AT_ONCE = 6, CHANNELS_AT_ONCE = 4;  // of 16 registers
#endif
constexpr int GRAIN = 16, BLOCK = 24;  // channels; tiles that are worked on at once, in the cache
constexpr int PAD = 16;                // floats, so that 36 matrices do not fall on the same lines

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef uint32_t Words __attribute__((vector_size(LANES * 4)));
typedef uint16_t Halves __attribute__((vector_size(LANES * 2)));
typedef uint16_t bf16;

// ---- loads and stores: Lane is Vec, or float for the channels that are left over

template <class Lane>
constexpr int width = sizeof(Lane) / 4;
template <class Lane>
struct Bits {
    typedef uint32_t Word;
    typedef uint16_t Half;
};
template <>
struct Bits<Vec> {
    typedef Words Word;
    typedef Halves Half;
};
INLINE Words widen(Halves half) { return __builtin_convertvector(half, Words); }
INLINE uint32_t widen(uint16_t half) { return half; }
#if defined(__AVX512F__)
INLINE Halves narrow(Words word) { return (Halves)_mm512_cvtepi32_epi16((__m512i)word); }
#else
INLINE Halves narrow(Words word) { return __builtin_convertvector(word, Halves); }
#endif
INLINE uint16_t narrow(uint32_t word) { return (uint16_t)word; }

template <class Lane>
INLINE Lane load(const float* from) {
    Lane value;
    memcpy(&value, from, sizeof value);
    return value;
}
template <class Lane>
INLINE Lane load(const bf16* from) {
    typename Bits<Lane>::Half half;
    memcpy(&half, from, sizeof half);
    typename Bits<Lane>::Word word = widen(half) << 16;
    Lane value;
    memcpy(&value, &word, sizeof value);
    return value;
}
template <class Lane>
INLINE void store(float* to, Lane value) {
    memcpy(to, &value, sizeof value);
}
template <class Lane>
INLINE void store(bf16* to, Lane value) {  // to the nearest, ties to even
    typename Bits<Lane>::Word word;
    memcpy(&word, &value, sizeof word);
    typename Bits<Lane>::Word rounded = word + 0x7fffu + ((word >> 16) & 1u);
    rounded = value != value ? (word | 0x400000u) : rounded;  // a NaN stays one
    typename Bits<Lane>::Half half = narrow(rounded >> 16);
    memcpy(to, &half, sizeof half);
}

// Results that no cache holds until they are read go past it: lines that are written whole need not
// be fetched first (measured: 4 to 10% of a step's passes).
template <bool PAST>
INLINE void put(float* to, Vec value) {
#if defined(__AVX512F__)
    if (PAST) return _mm512_stream_ps(to, (__m512)value);
#elif defined(__AVX__)
    if (PAST) return _mm256_stream_ps(to, (__m256)value);
#endif
    store(to, value);
}
template <bool PAST>
INLINE void put(bf16* to, Vec value) {
#if defined(__AVX512F__)
    if (PAST) {
        alignas(32) bf16 row[LANES];
        store(row, value);
        return _mm256_stream_si256((__m256i*)to, *(const __m256i*)row);
    }
#endif
    store(to, value);
}
template <bool PAST, class T>
INLINE void put(T* to, float value) {
    store(to, value);
}
static bool goes_past(const void* to, long channels, long num_bytes) {
    return channels % LANES == 0 && (uintptr_t)to % 64 == 0 && num_bytes >= 1L << 20;
}
INLINE void finish_puts() {  // before other threads read
#if defined(__AVX__)
    _mm_sfence();
#endif
}

// ---- threads: the OpenMP runtime that PyTorch has loaded, handed over by use_runtime

typedef void (*RunInParallel)(void (*)(void*), void*, unsigned, unsigned);
static RunInParallel run_in_parallel = nullptr;  // GOMP_parallel

// Calls body(index, worker) for each index below count; worker is below num_threads.
template <class Body>
static void share_out(long count, int num_threads, Body body) {
    if (num_threads < 2 || count < 2 || !run_in_parallel) {
        for (long index = 0; index < count; index++) body(index, 0);
        return;
    }
    struct Job {
        Body& body;
        long count;
        std::atomic<long> next, workers;
    } job{body, count, {0}, {0}};
    run_in_parallel(
        [](void* given) {
            Job& job = *(Job*)given;
            long worker = job.workers++;
            for (long index; (index = job.next++) < job.count;) job.body(index, worker);
        },
        &job, num_threads, 0);
}

struct Free {
    void operator()(float* memory) const { free(memory); }
};
typedef std::unique_ptr<float, Free> Memory;
static Memory take_memory(size_t num_floats) {  // may be null
    return Memory((float*)aligned_alloc(64, (num_floats * 4 + 63) / 64 * 64));
}

// ---- Winograd's transforms of one tile; rows or columns at distance `step`

INLINE void transform_input(Vec a, Vec b, Vec c, Vec d, Vec e, Vec f, Vec* out, int step) {
    Vec x = e - 4 * c, y = d - 4 * b, z = e - c, w = 2 * (d - b);
    out[0] = 4 * a - 5 * c + e;
    out[step] = x + y;
    out[2 * step] = x - y;
    out[3 * step] = z + w;
    out[4 * step] = z - w;
    out[5 * step] = 4 * b - 5 * d + f;
}
INLINE void transform_output(Vec a, Vec b, Vec c, Vec d, Vec e, Vec f, Vec* out, int step) {
    Vec p = b + c, q = b - c, r = d + e, t = d - e;
    out[0] = a + p + r;
    out[step] = q + 2 * t;
    out[2 * step] = p + 4 * r;
    out[3 * step] = q + 8 * t + f;
}
INLINE void transform_weight(Vec a, Vec b, Vec c, Vec* out, int step) {
    Vec x = (a + c) * (-1 / 6.f), y = b * (-1 / 6.f), z = a * (1 / 24.f) + c * (1 / 6.f);
    Vec w = b * (1 / 12.f);
    out[0] = a * 0.25f;
    out[step] = x + y;
    out[2 * step] = x - y;
    out[3 * step] = z + w;
    out[4 * step] = z - w;
    out[5 * step] = c;
}
INLINE void transform_gradient(Vec a, Vec b, Vec c, Vec d, Vec* out, int step) {
    Vec x = (a + c) * (-1 / 6.f), y = (b + d) * (-1 / 6.f);
    Vec z = a * (1 / 24.f) + c * (1 / 6.f), w = b * (1 / 12.f) + d * (1 / 3.f);
    out[0] = a * 0.25f;
    out[step] = x + y;
    out[2 * step] = x - y;
    out[3 * step] = z + w;
    out[4 * step] = z - w;
    out[5 * step] = d;
}
INLINE void transform_sums(Vec a, Vec b, Vec c, Vec d, Vec e, Vec f, Vec* out, int step) {
    Vec p = b + c, q = b - c, r = d + e, t = d - e;
    out[0] = a + p + r;
    out[step] = q + 2 * t;
    out[2 * step] = p + 4 * r + f;
}

// ---- tiles of images

struct Images {
    long num, height, width, tiles_down, tiles_across, num_tiles;
    Images(long n, long h, long w)
        : num(n),
          height(h),
          width(w),
          tiles_down((h + 3) / 4),
          tiles_across((w + 3) / 4),
          num_tiles(n * tiles_down * tiles_across) {}
};
struct Tile {  // its image, and where its 4x4 outputs begin
    long image, row, column;
    Tile(const Images& images, long index) {
        long each = images.tiles_down * images.tiles_across, place = index % each;
        image = index / each;
        row = 4 * (place / images.tiles_across);
        column = 4 * (place % images.tiles_across);
    }
};

// A patch of SIZE x SIZE pixels: in the image, or at its edge a copy with zeros around.
struct Patch {
    const float* corner;
    long row_step;
};
template <int SIZE>
INLINE Patch find_patch(const float* pixels, const Images& im, long image, long row, long column,
                        long channels, float* edge) {
    const float* corner = pixels + ((image * im.height + row) * im.width + column) * channels;
    if (row >= 0 && column >= 0 && row + SIZE <= im.height && column + SIZE <= im.width)
        return {corner, im.width * channels};
    for (long i = 0; i < SIZE; i++)
        for (long j = 0; j < SIZE; j++) {
            bool is_inside =
                row + i >= 0 && row + i < im.height && column + j >= 0 && column + j < im.width;
            const float* from = corner + (i * im.width + j) * channels;
            float* to = edge + (i * SIZE + j) * channels;
            for (long c = 0; c < channels; c += LANES)
                store(to + c, is_inside ? load<Vec>(from + c) : Vec{});
        }
    return {edge, SIZE * channels};
}

// `count` tiles from `first` on -> 36 matrices (tiles, channels) at distance `stride`
static void transform_inputs(const float* x, const Images& im, long first, long count,
                             long channels, float* edge, float* out, long stride) {
    for (long t = 0; t < count; t++) {
        Tile tile(im, first + t);
        Patch patch =
            find_patch<6>(x, im, tile.image, tile.row - 1, tile.column - 1, channels, edge);
        long step = patch.row_step;
        for (long c = 0; c < channels; c += LANES) {
            Vec m[36], row[6];
            const float* p = patch.corner + c;
            float* to = out + t * channels + c;
            for (int j = 0; j < 6; j++, p += channels)
                transform_input(load<Vec>(p), load<Vec>(p + step), load<Vec>(p + 2 * step),
                                load<Vec>(p + 3 * step), load<Vec>(p + 4 * step),
                                load<Vec>(p + 5 * step), m + j, 6);
            for (int i = 0; i < 6; i++) {
                Vec* r = m + 6 * i;
                transform_input(r[0], r[1], r[2], r[3], r[4], r[5], row, 1);
                for (int j = 0; j < 6; j++, to += stride) store(to, row[j]);
            }
        }
    }
}

static void transform_gradients(const float* d, const Images& im, long first, long count,
                                long channels, float* edge, float* out, long stride) {
    for (long t = 0; t < count; t++) {
        Tile tile(im, first + t);
        Patch patch = find_patch<4>(d, im, tile.image, tile.row, tile.column, channels, edge);
        long step = patch.row_step;
        for (long c = 0; c < channels; c += LANES) {
            Vec m[24], row[6];
            const float* p = patch.corner + c;
            float* to = out + t * channels + c;
            for (int j = 0; j < 4; j++, p += channels)
                transform_gradient(load<Vec>(p), load<Vec>(p + step), load<Vec>(p + 2 * step),
                                   load<Vec>(p + 3 * step), m + j, 4);
            for (int i = 0; i < 6; i++) {
                Vec* r = m + 4 * i;
                transform_gradient(r[0], r[1], r[2], r[3], row, 1);
                for (int j = 0; j < 6; j++, to += stride) store(to, row[j]);
            }
        }
    }
}

// 36 matrices (tiles, channels) -> outputs of `count` tiles from `first` on
template <bool PAST>
static void put_outputs(const float* sums, long stride, const Images& im, long first, long count,
                        long channels, const float* bias, float* y) {
    long down = 6 * stride, row_step = im.width * channels;
    for (long t = 0; t < count; t++) {
        Tile tile(im, first + t);
        long rows = std::min(4L, im.height - tile.row),
             columns = std::min(4L, im.width - tile.column);
        for (long c = 0; c < channels; c += LANES) {
            float* to =
                y + ((tile.image * im.height + tile.row) * im.width + tile.column) * channels + c;
            Vec m[24], row[4], shift = bias ? load<Vec>(bias + c) : Vec{};
            const float* s = sums + t * channels + c;
            for (int j = 0; j < 6; j++, s += stride)
                transform_output(load<Vec>(s), load<Vec>(s + down), load<Vec>(s + 2 * down),
                                 load<Vec>(s + 3 * down), load<Vec>(s + 4 * down),
                                 load<Vec>(s + 5 * down), m + j, 6);
            for (int i = 0; i < rows; i++, to += row_step) {
                Vec* r = m + 6 * i;
                transform_output(r[0], r[1], r[2], r[3], r[4], r[5], row, 1);
                for (int j = 0; j < columns; j++) put<PAST>(to + j * channels, row[j] + shift);
            }
        }
    }
}

static void transform_outputs(const float* sums, long stride, const Images& im, long first,
                              long count, long channels, const float* bias, float* y) {
    bool past = goes_past(y, channels, im.num * im.height * im.width * channels * 4);
    (past ? put_outputs<true> : put_outputs<false>)(sums, stride, im, first, count, channels, bias,
                                                    y);
    finish_puts();
}

// The pixels of the block of tiles after this one, fetched in 36 parts while products are computed
// (measured: 16% of a convolution of 16 channels).
struct Ahead {
    const char* from;
    long num_lines;
    Ahead(const float* pixels, const Images& im, long first, long channels)
        : from(nullptr), num_lines(0) {
        if (first >= im.num_tiles) return;
        Tile tile(im, first);
        long of_row = im.width * channels * 4, row = tile.image * im.height + tile.row;
        from = (const char*)pixels + row * of_row;
        num_lines = std::min(16 * BLOCK * channels * 4, (im.num * im.height - row) * of_row) / 64;
    }
    void fetch(int part) const {
        for (long line = num_lines * part / 36; line < num_lines * (part + 1) / 36; line++)
            __builtin_prefetch(from + line * 64, 0, 2);
    }
};

// ---- products of the transformed

// out (BLOCK, GROUP * LANES of `outs`) = v (BLOCK, ins) u (ins, GROUP * LANES of `outs`)
template <int GROUP>
INLINE void multiply(const float* v, long ins, const float* u, long outs, float* out) {
    for (int first = 0; first < BLOCK; first += TILES_AT_ONCE) {
        const float* a = v + first * ins;
        Vec sums[TILES_AT_ONCE][GROUP] = {};
        for (long c = 0; c < ins; c++) {
            Vec b[GROUP];
            for (int g = 0; g < GROUP; g++) b[g] = load<Vec>(u + c * outs + g * LANES);
#pragma GCC unroll 12
            for (int t = 0; t < TILES_AT_ONCE; t++)
                for (int g = 0; g < GROUP; g++) sums[t][g] += a[t * ins + c] * b[g];
        }
#pragma GCC unroll 12
        for (int t = 0; t < TILES_AT_ONCE; t++)
            for (int g = 0; g < GROUP; g++) store(out + (first + t) * outs + g * LANES, sums[t][g]);
    }
}

// sums (CHANNELS_AT_ONCE of ins, GROUP * LANES of outs) += v' w over the tiles of a block
template <int GROUP, int CHANNELS>
INLINE void add_products(const float* v, long ins, const float* w, long outs, float* sums,
                         bool is_first) {
    Vec own[CHANNELS][GROUP];
#pragma GCC unroll 16
    for (int c = 0; c < CHANNELS; c++)
        for (int g = 0; g < GROUP; g++)
            own[c][g] = is_first ? Vec{} : load<Vec>(sums + c * outs + g * LANES);
    for (long t = 0; t < BLOCK; t++) {
        Vec b[GROUP];
        for (int g = 0; g < GROUP; g++) b[g] = load<Vec>(w + t * outs + g * LANES);
#pragma GCC unroll 16
        for (int c = 0; c < CHANNELS; c++)
            for (int g = 0; g < GROUP; g++) own[c][g] += v[t * ins + c] * b[g];
    }
#pragma GCC unroll 16
    for (int c = 0; c < CHANNELS; c++)
        for (int g = 0; g < GROUP; g++) store(sums + c * outs + g * LANES, own[c][g]);
}

static long blocks_of(const Images& im) { return (im.num_tiles + BLOCK - 1) / BLOCK; }

static int convolve(const float* x, const float* u, const float* bias, float* y, const Images& im,
                    long ins, long outs, int num_threads) {
    long v_stride = BLOCK * ins + PAD, s_stride = BLOCK * outs + PAD;
    size_t each = 36 * (v_stride + s_stride + ins), workers = std::max(num_threads, 1);
    Memory memory = take_memory(each * workers);
    if (!memory) return 1;
    memset(memory.get(), 0, each * workers * 4);  // the tiles that a last block lacks
    share_out(blocks_of(im), num_threads, [&](long block, long worker) {
        float *v = memory.get() + worker * each, *sums = v + 36 * v_stride,
              *edge = sums + 36 * s_stride;
        long first = block * BLOCK, count = std::min<long>(BLOCK, im.num_tiles - first);
        transform_inputs(x, im, first, count, ins, edge, v, v_stride);
        Ahead ahead(x, im, first + BLOCK, ins);
        for (int i = 0; i < 36; i++) {
            ahead.fetch(i);
            const float *vi = v + i * v_stride, *ui = u + i * ins * outs;
            float* si = sums + i * s_stride;
            long o = 0;
            for (; o + 2 * LANES <= outs; o += 2 * LANES)
                multiply<2>(vi, ins, ui + o, outs, si + o);
            for (; o < outs; o += LANES) multiply<1>(vi, ins, ui + o, outs, si + o);
        }
        transform_outputs(sums, s_stride, im, first, count, outs, bias, y);
    });
    return 0;
}

// Sums over parts of the images, each as long as may be: their number hangs on the shapes alone.
static long parts_of(const Images& im) { return std::clamp(im.num_tiles / 256, 1L, 8L); }

static void sums_to_weights(const float* sums, long num_parts, long ins, long outs, float* gradient,
                            int num_threads) {
    long each = 36 * ins * outs;
    share_out(outs / LANES, num_threads, [&](long group, long) {
        for (long c = 0; c < ins; c++) {
            Vec m[36], half[18], whole[9];
            const float* from = sums + c * outs + group * LANES;
            for (int i = 0; i < 36; i++) m[i] = load<Vec>(from + i * ins * outs);
            for (long part = 1; part < num_parts; part++)
                for (int i = 0; i < 36; i++) m[i] += load<Vec>(from + part * each + i * ins * outs);
            for (int j = 0; j < 6; j++)
                transform_sums(m[j], m[6 + j], m[12 + j], m[18 + j], m[24 + j], m[30 + j], half + j,
                               6);
            for (int i = 0; i < 3; i++) {
                Vec* r = half + 6 * i;
                transform_sums(r[0], r[1], r[2], r[3], r[4], r[5], whole + 3 * i, 1);
            }
            float* to = gradient + (group * LANES * ins + c) * 9;
            for (int lane = 0; lane < LANES; lane++)
                for (int tap = 0; tap < 9; tap++) to[lane * ins * 9 + tap] = whole[tap][lane];
        }
    });
}

static int sum_products(const float* x, const float* d, float* gradient, const Images& im, long ins,
                        long outs, int num_threads) {
    long v_stride = BLOCK * ins + PAD, w_stride = BLOCK * outs + PAD, num_parts = parts_of(im);
    size_t each = 36 * (v_stride + w_stride + std::max(ins, outs)),
           workers = std::max(num_threads, 1);
    size_t of_part = 36 * ins * outs;
    Memory memory = take_memory(each * workers), sums = take_memory(of_part * num_parts);
    if (!memory || !sums) return 1;
    share_out(num_parts, num_threads, [&](long part, long worker) {
        float *v = memory.get() + worker * each, *w = v + 36 * v_stride, *edge = w + 36 * w_stride;
        float* own = sums.get() + part * of_part;
        long begin = im.num_tiles * part / num_parts, end = im.num_tiles * (part + 1) / num_parts;
        for (long first = begin; first < end; first += BLOCK) {
            long count = std::min<long>(BLOCK, end - first);
            if (count < BLOCK) memset(v, 0, each * 4);
            transform_inputs(x, im, first, count, ins, edge, v, v_stride);
            transform_gradients(d, im, first, count, outs, edge, w, w_stride);
            Ahead of_x(x, im, first + BLOCK, ins), of_d(d, im, first + BLOCK, outs);
            for (int i = 0; i < 36; i++) {
                of_x.fetch(i);
                of_d.fetch(i);
                const float *vi = v + i * v_stride, *wi = w + i * w_stride;
                float* si = own + i * ins * outs;
                long o = 0;
                for (; o + 2 * LANES <= outs; o += 2 * LANES)
                    for (long c = 0; c < ins; c += CHANNELS_AT_ONCE)
                        add_products<2, CHANNELS_AT_ONCE>(vi + c, ins, wi + o, outs,
                                                          si + c * outs + o, first == begin);
                for (; o < outs; o += LANES)
                    for (long c = 0; c < ins; c += GRAIN)
                        add_products<1, GRAIN>(vi + c, ins, wi + o, outs, si + c * outs + o,
                                               first == begin);
            }
        }
    });
    sums_to_weights(sums.get(), num_parts, ins, outs, gradient, num_threads);
    return 0;
}

// weights (outs, ins, 3, 3) -> (36, ins, outs); flipped, for gradients by data: (36, outs, ins)
static void transform_weights(const float* weights, float* u, long outs, long ins, bool is_flipped,
                              int num_threads) {
    long rows = is_flipped ? outs : ins, columns = is_flipped ? ins : outs;
    long row_step = is_flipped ? 9 * ins : 9, lane_step = is_flipped ? 9 : 9 * ins;
    share_out(rows, num_threads, [&](long row, long) {
        for (long column = 0; column < columns; column += LANES) {
            const float* from = weights + row * row_step + column * lane_step;
            Vec taps[9], half[18], whole[36];
            for (int tap = 0; tap < 9; tap++)
                for (int lane = 0; lane < LANES; lane++)
                    taps[is_flipped ? 8 - tap : tap][lane] = from[lane * lane_step + tap];
            for (int j = 0; j < 3; j++)
                transform_weight(taps[j], taps[3 + j], taps[6 + j], half + j, 3);
            for (int i = 0; i < 6; i++)
                transform_weight(half[3 * i], half[3 * i + 1], half[3 * i + 2], whole + 6 * i, 1);
            for (int i = 0; i < 36; i++) store(u + (i * rows + row) * columns + column, whole[i]);
        }
    });
}

// ---- images of at most 2x2 pixels as vectors: a matrix of which every entry is a tap

struct Taps {  // from pixel `in` to pixel `out` of images (height, width)
    int pixels, of[4][4];
    Taps(int height, int width) : pixels(height * width) {
        for (int out = 0; out < pixels; out++)
            for (int in = 0; in < pixels; in++)
                of[out][in] = (in / width - out / width + 1) * 3 + in % width - out % width + 1;
    }
};

// weights (outs, ins, 3, 3) -> (pixels, outs, pixels, ins)
template <class T>
static void spread_taps(const T* weights, T* matrix, long outs, long ins, const Taps& taps,
                        int num_threads) {
    share_out(outs, num_threads, [&](long o, long) {
        const T* from = weights + o * ins * 9;
        for (int out = 0; out < taps.pixels; out++)
            for (int in = 0; in < taps.pixels; in++) {
                T* to = matrix + ((out * outs + o) * taps.pixels + in) * ins;
                const T* tap = from + taps.of[out][in];
                for (long c = 0; c < ins; c++) to[c] = tap[c * 9];
            }
    });
}

// The transpose of spread_taps, with float32 sums.
template <class T>
static void gather_taps(const T* matrix, T* gradient, long outs, long ins, const Taps& taps,
                        int num_threads) {
    share_out(outs, num_threads, [&](long o, long) {
        std::vector<float> sums(9 * ins);
        for (int out = 0; out < taps.pixels; out++)
            for (int in = 0; in < taps.pixels; in++) {
                const T* from = matrix + ((out * outs + o) * taps.pixels + in) * ins;
                float* to = &sums[taps.of[out][in] * ins];
                for (long c = 0; c < ins; c++) to[c] += load<float>(from + c);
            }
        T* to = gradient + o * ins * 9;
        for (long c = 0; c < ins; c++)
            for (int tap = 0; tap < 9; tap++) store(to + c * 9 + tap, sums[tap * ins + c]);
    });
}

// ---- BatchNorm over rows (pixels, channels), with a sum and a ReLU

// Ahead of where a pass is; past the end it does nothing (measured: 4 to 25% of a pass).
INLINE void fetch_ahead(const void* from) { __builtin_prefetch((const char*)from + 8192); }

constexpr long CHUNK = 8192;  // numbers; sums are those of chunks

struct Rows {
    long num, channels, in_chunk, num_chunks;
    Rows(long n, long c) : num(n), channels(c), in_chunk(std::max(8L, CHUNK / c)) {
        num_chunks = (num + in_chunk - 1) / in_chunk;
    }
    long begin(long chunk) const { return chunk * in_chunk; }
    long end(long chunk) const { return std::min(num, (chunk + 1) * in_chunk); }
};

// Calls panel(Lane, number of lanes at once, first channel) until all channels are done.
template <class Panel>
INLINE void over_channels(long channels, Panel panel) {
    long c = 0;
    for (; c + 4 * LANES <= channels; c += 4 * LANES)
        panel(Vec{}, std::integral_constant<int, 4>{}, c);
    for (; c + 2 * LANES <= channels; c += 2 * LANES)
        panel(Vec{}, std::integral_constant<int, 2>{}, c);
    for (; c + LANES <= channels; c += LANES) panel(Vec{}, std::integral_constant<int, 1>{}, c);
    for (; c < channels; c++) panel(float{}, std::integral_constant<int, 1>{}, c);
}
template <class Lane>
INLINE Lane cut_below_zero(Lane value, Lane shown) {  // shown where value > 0
    return value <= Lane{} ? Lane{} : shown;          // or is a NaN
}

// Means and sums of squared distances from them, of each chunk by itself.
template <class T, class Lane, int N>
INLINE void chunk_moments(const T* x, long channels, long rows, float* mean, float* squares) {
    constexpr int W = width<Lane>, AT_ONCE = N == 1 ? 4 : 2;
    Lane sum[AT_ONCE][N] = {}, square[AT_ONCE][N] = {}, middle[N];
    long r = 0;
    for (; r + AT_ONCE <= rows; r += AT_ONCE)
        for (int k = 0; k < AT_ONCE; k++)
            for (int j = 0; j < N; j++) {
                fetch_ahead(x + (r + k) * channels + j * W);
                sum[k][j] += load<Lane>(x + (r + k) * channels + j * W);
            }
    for (; r < rows; r++)
        for (int j = 0; j < N; j++) sum[0][j] += load<Lane>(x + r * channels + j * W);
    float share = 1.f / rows;
    for (int j = 0; j < N; j++) {
        for (int k = 1; k < AT_ONCE; k++) sum[0][j] += sum[k][j];
        middle[j] = sum[0][j] * share;
        store(mean + j * W, middle[j]);
    }
    for (r = 0; r + AT_ONCE <= rows; r += AT_ONCE)
        for (int k = 0; k < AT_ONCE; k++)
            for (int j = 0; j < N; j++) {
                Lane off = load<Lane>(x + (r + k) * channels + j * W) - middle[j];
                square[k][j] += off * off;
            }
    for (; r < rows; r++)
        for (int j = 0; j < N; j++) {
            Lane off = load<Lane>(x + r * channels + j * W) - middle[j];
            square[0][j] += off * off;
        }
    for (int j = 0; j < N; j++) {
        for (int k = 1; k < AT_ONCE; k++) square[0][j] += square[k][j];
        store(squares + j * W, square[0][j]);
    }
}

// Means and variances of all rows, from those of the chunks (Chan et al. 1979).
template <class T>
static void moments(const T* x, const Rows& rows, double* mean, double* variance, int num_threads) {
    long C = rows.channels;
    std::vector<float> parts(rows.num_chunks * 2 * C);
    share_out(rows.num_chunks, num_threads, [&](long chunk, long) {
        long begin = rows.begin(chunk), count = rows.end(chunk) - begin;
        float *means = &parts[chunk * 2 * C], *squares = means + C;
        over_channels(C, [&](auto lane, auto n, long c) __attribute__((always_inline)) {
            chunk_moments<T, decltype(lane), n.value>(x + begin * C + c, C, count, means + c,
                                                      squares + c);
        });
    });
    for (long c = 0; c < C; c++) {
        double middle = 0, squares = 0, seen = 0;
        for (long chunk = 0; chunk < rows.num_chunks; chunk++) {
            double count = rows.end(chunk) - rows.begin(chunk), all = seen + count;
            double off = parts[chunk * 2 * C + c] - middle;
            middle += off * count / all;
            squares += parts[chunk * 2 * C + C + c] + off * off * seen * count / all;
            seen = all;
        }
        mean[c] = middle;
        variance[c] = squares / rows.num;
    }
}

struct Normalised {  // a layer's numbers, (channels,) each
    const float *weight, *bias;
    float *mean, *inverse_std;  // of the batch
    float *running_mean, *running_var;
};

// y = x scale + shift; one function for both passes, which must cut at the same numbers.
static void __attribute__((noinline)) find_line(const Normalised& bn, long channels, float* scale,
                                                float* shift) {
    for (long c = 0; c < channels; c++) {
        scale[c] = bn.weight[c] * bn.inverse_std[c];
        shift[c] = bn.bias[c] - bn.mean[c] * scale[c];
    }
}

template <class T, bool HAS_SUM, bool HAS_RELU, bool PAST>
static void normalise(const T* x, const T* other, T* y, const Rows& rows, const float* scale,
                      const float* shift, int num_threads) {
    long C = rows.channels;
    share_out(rows.num_chunks, num_threads, [&](long chunk, long) {
        long begin = rows.begin(chunk), end = rows.end(chunk);
        over_channels(C, [&](auto lane, auto n, long c) __attribute__((always_inline)) {
            typedef decltype(lane) Lane;
            constexpr int W = width<Lane>, N = n.value;
            Lane factor[N], term[N];
            for (int j = 0; j < N; j++)
                factor[j] = load<Lane>(scale + c + j * W), term[j] = load<Lane>(shift + c + j * W);
            for (long r = begin; r < end; r++)
                for (int j = 0; j < N; j++) {
                    long at = r * C + c + j * W;
                    fetch_ahead(x + at);
                    if (HAS_SUM) fetch_ahead(other + at);
                    Lane value = load<Lane>(x + at) * factor[j] + term[j];
                    if (HAS_SUM) value += load<Lane>(other + at);
                    if (HAS_RELU) value = cut_below_zero(value, value);
                    put<PAST>(y + at, value);
                }
        });
        finish_puts();
    });
}

template <class T, bool PAST>
static auto choose_normalise(const T* other, bool has_relu) {
    return other ? (has_relu ? normalise<T, true, true, PAST> : normalise<T, true, false, PAST>)
                 : (has_relu ? normalise<T, false, true, PAST> : normalise<T, false, false, PAST>);
}

template <class T>
static void norm_forward(const T* x, const T* other, T* y, const Rows& rows, const Normalised& bn,
                         float momentum, float eps, bool has_relu, int num_threads) {
    long C = rows.channels;
    std::vector<float> scale(C), shift(C);
    std::vector<double> mean(C), variance(C);
    moments(x, rows, mean.data(), variance.data(), num_threads);
    for (long c = 0; c < C; c++) {
        double inverse = 1 / std::sqrt(variance[c] + eps),
               unbiased = variance[c] * rows.num / (rows.num - 1);
        bn.mean[c] = mean[c];
        bn.inverse_std[c] = inverse;
        bn.running_mean[c] = (1 - momentum) * bn.running_mean[c] + momentum * (float)mean[c];
        bn.running_var[c] = (1 - momentum) * bn.running_var[c] + momentum * (float)unbiased;
    }
    find_line(bn, C, scale.data(), shift.data());
    auto apply = goes_past(y, C, rows.num * C * sizeof(T))
                     ? choose_normalise<T, true>(other, has_relu)
                     : choose_normalise<T, false>(other, has_relu);
    apply(x, other, y, rows, scale.data(), shift.data(), num_threads);
}

enum Mask { NO_RELU, FROM_OUTPUT, FROM_INPUT };

// The gradient d of what followed, cut where the ReLU gave 0: seen in y, or computed again from x.
template <Mask MASK, class Lane, class T>
INLINE Lane cut(Lane d, const T* y, Lane x, Lane scale, Lane shift) {
    if (MASK == FROM_OUTPUT) return cut_below_zero(load<Lane>(y), d);
    if (MASK == FROM_INPUT) return cut_below_zero(x * scale + shift, d);
    return d;
}

struct Lines {  // (channels,) each: y = x scale + shift; the gradient = d on_d + x on_x + constant
    const float *scale, *shift, *on_d, *on_x, *constant;
};
template <class T, Mask MASK, bool PAST>
static void combine(const T* x, const T* y, const T* d, const T* cut_d, T* by_x, const Rows& rows,
                    const Lines& lines, int num_threads) {
    long C = rows.channels;
    const T* given = cut_d ? cut_d : d;
    share_out(rows.num_chunks, num_threads, [&](long chunk, long) {
        over_channels(C, [&](auto lane, auto n, long c) __attribute__((always_inline)) {
            typedef decltype(lane) Lane;
            constexpr int W = width<Lane>, N = n.value;
            Lane p[N], q[N], k[N], factor[N], term[N];
            for (int j = 0; j < N; j++) {
                long at = c + j * W;
                p[j] = load<Lane>(lines.on_d + at), q[j] = load<Lane>(lines.on_x + at);
                k[j] = load<Lane>(lines.constant + at);
                factor[j] = load<Lane>(lines.scale + at), term[j] = load<Lane>(lines.shift + at);
            }
            for (long r = rows.begin(chunk); r < rows.end(chunk); r++)
                for (int j = 0; j < N; j++) {
                    long at = r * C + c + j * W;
                    fetch_ahead(x + at), fetch_ahead(given + at);
                    Lane value = load<Lane>(x + at), own = load<Lane>(given + at);
                    if (!cut_d) own = cut<MASK>(own, y + at, value, factor[j], term[j]);
                    put<PAST>(by_x + at, p[j] * own + (q[j] * value + k[j]));
                }
        });
        finish_puts();
    });
}

// Gradients (Ioffe and Szegedy 2015). `cut_d`: the gradient by the other summand; null without one.
template <class T, Mask MASK>
static void norm_backward(const T* x, const T* y, const T* d, T* by_x, T* cut_d, const Rows& rows,
                          const Normalised& bn, float* by_weight, float* by_bias, int num_threads) {
    long C = rows.channels;
    std::vector<float> parts(rows.num_chunks * 2 * C), scale(C), shift(C), on_d(C), on_x(C),
        constant(C);
    find_line(bn, C, scale.data(), shift.data());
    bool past = goes_past(cut_d, C, rows.num * C * sizeof(T));
    share_out(rows.num_chunks, num_threads, [&](long chunk, long) {
        float *sums = &parts[chunk * 2 * C], *products = sums + C;
        over_channels(C, [&](auto lane, auto n, long c) __attribute__((always_inline)) {
            typedef decltype(lane) Lane;
            constexpr int W = width<Lane>, N = n.value;
            Lane middle[N], factor[N], term[N], sum[N] = {}, product[N] = {};
            for (int j = 0; j < N; j++) {
                long at = c + j * W;
                middle[j] = load<Lane>(bn.mean + at);
                factor[j] = load<Lane>(&scale[at]), term[j] = load<Lane>(&shift[at]);
            }
            for (long r = rows.begin(chunk); r < rows.end(chunk); r++)
                for (int j = 0; j < N; j++) {
                    long at = r * C + c + j * W;
                    fetch_ahead(x + at), fetch_ahead(d + at);
                    if (MASK == FROM_OUTPUT) fetch_ahead(y + at);
                    Lane value = load<Lane>(x + at);
                    Lane own = cut<MASK>(load<Lane>(d + at), y + at, value, factor[j], term[j]);
                    sum[j] += own;
                    product[j] += own * (value - middle[j]);
                    if (cut_d) past ? put<true>(cut_d + at, own) : put<false>(cut_d + at, own);
                }
            for (int j = 0; j < N; j++)
                store(sums + c + j * W, sum[j]), store(products + c + j * W, product[j]);
        });
        finish_puts();
    });
    for (long c = 0; c < C; c++) {
        double sum = 0, product = 0, inverse = bn.inverse_std[c], factor = bn.weight[c] * inverse;
        for (long chunk = 0; chunk < rows.num_chunks; chunk++) {
            sum += parts[chunk * 2 * C + c];
            product += parts[chunk * 2 * C + C + c];
        }
        by_bias[c] = sum;
        by_weight[c] = product * inverse;
        double slope = -factor * inverse * inverse * product / rows.num;
        on_d[c] = factor;
        on_x[c] = slope;
        constant[c] = -factor * sum / rows.num - slope * bn.mean[c];
    }
    if (!by_x) return;
    auto apply = goes_past(by_x, C, rows.num * C * sizeof(T)) ? combine<T, MASK, true>
                                                              : combine<T, MASK, false>;
    apply(x, y, d, cut_d, by_x, rows,
          {scale.data(), shift.data(), on_d.data(), on_x.data(), constant.data()}, num_threads);
}

// ---- what native.py calls: pointers to contiguous memory, null where there is nothing.
// All give 0, or 1 where there was too little memory.

extern "C" {
void use_runtime(void* gomp_parallel) { run_in_parallel = (RunInParallel)gomp_parallel; }
const char* instructions() {
#if defined(__AVX512F__)
    return "avx512";
#elif defined(__AVX2__) && defined(__FMA__)
    return "avx2";
#elif defined(__ARM_NEON)
    return "neon";
#else
    return "generic";
#endif
}

int weights_forth(const float* weights, float* u, long outs, long ins, int is_flipped,
                  int num_threads) {
    transform_weights(weights, u, outs, ins, is_flipped, num_threads);
    return 0;
}
int weights_back(const float* sums, float* gradient, long outs, long ins, int num_threads) {
    sums_to_weights(sums, 1, ins, outs, gradient, num_threads);
    return 0;
}
// The transforms alone, between which PyTorch multiplies: v and d (36, tiles, channels).
int inputs_forth(const float* x, float* v, long n, long h, long w, long channels, int num_threads) {
    Images im(n, h, w);
    Memory edges = take_memory(36 * channels * std::max(num_threads, 1));
    if (!edges) return 1;
    share_out(blocks_of(im), num_threads, [&](long block, long worker) {
        long first = block * BLOCK, count = std::min<long>(BLOCK, im.num_tiles - first);
        transform_inputs(x, im, first, count, channels, edges.get() + worker * 36 * channels,
                         v + first * channels, im.num_tiles * channels);
    });
    return 0;
}
int gradients_forth(const float* d, float* v, long n, long h, long w, long channels,
                    int num_threads) {
    Images im(n, h, w);
    Memory edges = take_memory(36 * channels * std::max(num_threads, 1));
    if (!edges) return 1;
    share_out(blocks_of(im), num_threads, [&](long block, long worker) {
        long first = block * BLOCK, count = std::min<long>(BLOCK, im.num_tiles - first);
        transform_gradients(d, im, first, count, channels, edges.get() + worker * 36 * channels,
                            v + first * channels, im.num_tiles * channels);
    });
    return 0;
}
int outputs_back(const float* sums, const float* bias, float* y, long n, long h, long w,
                 long channels, int num_threads) {
    Images im(n, h, w);
    share_out(blocks_of(im), num_threads, [&](long block, long) {
        long first = block * BLOCK, count = std::min<long>(BLOCK, im.num_tiles - first);
        transform_outputs(sums + first * channels, im.num_tiles * channels, im, first, count,
                          channels, bias, y);
    });
    return 0;
}
// Whole passes.
int winograd(const float* x, const float* u, const float* bias, float* y, long n, long h, long w,
             long ins, long outs, int num_threads) {
    return convolve(x, u, bias, y, Images(n, h, w), ins, outs, num_threads);
}
int winograd_by_weight(const float* x, const float* d, float* gradient, long n, long h, long w,
                       long ins, long outs, int num_threads) {
    return sum_products(x, d, gradient, Images(n, h, w), ins, outs, num_threads);
}

// Numbers that are copied are of 2 or 4 bytes; those that are added float32 or bfloat16.
int taps_forth(const void* weights, void* matrix, long outs, long ins, long height, long width,
               int num_bytes, int num_threads) {
    Taps taps(height, width);
    if (num_bytes == 2)
        spread_taps((const bf16*)weights, (bf16*)matrix, outs, ins, taps, num_threads);
    else
        spread_taps((const float*)weights, (float*)matrix, outs, ins, taps, num_threads);
    return 0;
}
int taps_back(const void* matrix, void* gradient, long outs, long ins, long height, long width,
              int num_bytes, int num_threads) {
    Taps taps(height, width);
    if (num_bytes == 2)
        gather_taps((const bf16*)matrix, (bf16*)gradient, outs, ins, taps, num_threads);
    else
        gather_taps((const float*)matrix, (float*)gradient, outs, ins, taps, num_threads);
    return 0;
}

#define NORM_FORWARD(NAME, T)                                                                     \
    int NAME(const T* x, const T* other, T* y, long rows, long channels, const float* weight,     \
             const float* bias, float* mean, float* inverse_std, float* running_mean,             \
             float* running_var, float momentum, float eps, int has_relu, int num_threads) {      \
        norm_forward(x, other, y, Rows(rows, channels),                                           \
                     {weight, bias, mean, inverse_std, running_mean, running_var}, momentum, eps, \
                     has_relu, num_threads);                                                      \
        return 0;                                                                                 \
    }
#define NORM_BACKWARD(NAME, T)                                                                \
    int NAME(const T* x, const T* y, const T* d, T* by_x, T* cut_d, long rows, long channels, \
             const float* weight, const float* bias, float* mean, float* inverse_std,         \
             float* by_weight, float* by_bias, int has_relu, int num_threads) {               \
        auto pass = !has_relu ? norm_backward<T, NO_RELU>                                     \
                    : y       ? norm_backward<T, FROM_OUTPUT>                                 \
                              : norm_backward<T, FROM_INPUT>;                                 \
        pass(x, y, d, by_x, cut_d, Rows(rows, channels),                                      \
             {weight, bias, mean, inverse_std, nullptr, nullptr}, by_weight, by_bias,         \
             num_threads);                                                                    \
        return 0;                                                                             \
    }
NORM_FORWARD(norm_forward_float32, float)
NORM_FORWARD(norm_forward_bfloat16, bf16)
NORM_BACKWARD(norm_backward_float32, float)
NORM_BACKWARD(norm_backward_bfloat16, bf16)
}
