# python_images.py EXAMPLES FILE - cohort.py packs what interop_python.c packed, to the same bytes, and unpacks
# its images to the same values.  FILE has a line `format hexadecimal` for each of the values below.
import sys

sys.path.insert(0, sys.argv[1])
import cohort  # noqa: E402

VALUES = [
    ("", ()),
    ("cjviuIUf", (-128, -32768, 65535, -2147483648, 4294967295, -2**63, 2**64 - 1, -0.1)),
    ("ss", ("h\u00e9llo", None)),
    ("sB", ("", b"\0\1\2\xff")),
    ("B", (b"",)),
    ("A(i)", ([],)),
    ("A(i)", ([1, -2, 3],)),
    ("sA(sU)", ("words", [("to", 2), ("be", 2), ("or", 1)])),
    ("iA(sA(B)f)U", (7, [("a", [b"x", b""], 0.5), (None, [], -1.0)], 9)),
    ("A(A(A(c)))", ([[[1, 2], []], [], [[3]]],)),
]

with open(sys.argv[2]) as f:
    lines = [line.rstrip("\n").rpartition(" ")[::2] for line in f]
assert len(lines) == len(VALUES), len(lines)
for (format, values), (theirs, text) in zip(VALUES, lines):
    image = bytes.fromhex(text)
    assert theirs == format, (theirs, format)
    assert cohort.pack(format, *values) == image, (format, cohort.pack(format, *values), image)
    assert cohort.unpack(image, format) == values, (format, cohort.unpack(image))
    for end in range(len(image)):
        try:
            cohort.unpack(image[:end])
        except cohort.Error:
            continue
        raise AssertionError("%s cut at %d" % (format, end))
for format, value in [("i", 2**31), ("s", "\0"), ("B", None), ("A(i)", 1), ("x", 1), ("A()", []), ("i", "1")]:
    try:
        cohort.pack(format, value)
    except cohort.Error:
        continue
    raise AssertionError("%r was packed as %s" % (value, format))
