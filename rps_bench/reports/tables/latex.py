"""The summary as LaTeX: one longtable with booktabs rules per experiment."""

from collections.abc import Iterable

from rps_bench.reports.tables.sections import ACCURACY, Row, Section

PREAMBLE = "% needs \\usepackage{booktabs,longtable}"

# At the start of a row, brackets and the star would be read as arguments; in the old font encoding
# < > | print as other signs.
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
        "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
        "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "]": "{]}",
        "*": "{*}", "±": r"$\pm$",
    }
)  # fmt: skip


def write_latex(sections: Iterable[Section]) -> str:
    """A LaTeX file to `\\input`: a table per experiment, with the notes in each caption."""
    return "\n\n".join([PREAMBLE, *(_table(section) for section in sections)]) + "\n"


def escape(text: str) -> str:
    """`text` escaped so that LaTeX prints it unchanged, on one line."""
    return " ".join(text.split()).translate(_ESCAPES)


def _table(section: Section) -> str:
    caption = ". ".join([section.title, *(note[0].upper() + note[1:] for note in section.notes)])
    head = ["\\toprule", _line([escape(heading) for heading in section.headings]), "\\midrule"]
    return "\n".join(
        [
            "{\\small\\setlength{\\tabcolsep}{3pt}",
            f"\\begin{{longtable}}{{l{'r' * (len(section.headings) - 1)}}}",
            f"\\caption{{{escape(caption)}.}}\\\\",
            *head,
            "\\endfirsthead",
            *head,
            "\\endhead",
            "\\bottomrule",
            "\\endfoot",
            *(_line(_cells(row)) for row in section.rows),
            "\\end{longtable}}",
        ]
    )


def _cells(row: Row) -> list[str]:
    cells = [escape(cell) for cell in row.cells]
    if row.is_best:
        cells[ACCURACY] = f"\\textbf{{{cells[ACCURACY]}}}"
    return cells


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"
