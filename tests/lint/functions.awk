# One line a function defined: "FILE LINE NAME static|extern LINES PARAMETERS NESTING REASON".
# Relies on the house's layout: a body opens and closes with a brace in the first column, and
# nothing is indented but by its nesting.  REASON is 1 when a comment saying "sizes:" stands
# above it.
function finish(   head, name, args, n, i, c, depth) {
	head = signature
	gsub(/__attribute__[ ]*\(\(([^()]|\([^()]*\))*\)\)/, "", head)
	gsub(/(COHORT_PRINTF|LLVMFuzzer[A-Z]+)\([^()]*\)/, "", head)
	if (match(head, /[A-Za-z_][A-Za-z_0-9]*[ ]*\(/) == 0)
		return
	name = substr(head, RSTART, RLENGTH - 1)
	args = substr(head, RSTART + RLENGTH)
	n = (args ~ /^[ ]*(void)?[ ]*\)/) ? 0 : 1
	depth = 0
	for (i = 1; i <= length(args); i++) {
		c = substr(args, i, 1)
		if (c == "(") depth++
		else if (c == ")" && depth-- == 0) break
		else if (c == "," && depth == 0) n++
	}
	print FILENAME, start, name, (head ~ /(^| )static /) ? "static" : "extern", FNR - start - 1, n, nesting, reason
}
FNR == 1 { inside = 0; signature = ""; reason = 0 }
/sizes: [^ ]/ { reason = 1 }
inside && /^}/ { finish(); inside = 0; signature = ""; reason = 0; next }
inside {
	# a statement that opens a level, at so many tabs, nests so deep; other lines may be indented
	# further only to go on with one
	if (match($0, /^\t+(if|for|while|do|switch|else|} else)( |$)/)) {
		match($0, /^\t*/)
		if (RLENGTH > nesting)
			nesting = RLENGTH
	}
	next
}
/^{/ && signature ~ /\)[ ]*$/ { inside = 1; start = FNR; nesting = 0; next }
/^[ ]*$/ || /^#/ || /;[ ]*$/ || /^}/ { signature = ""; if (/^}/) reason = 0; next }
/^[A-Za-z_ \t]/ && !/^[ ]?\*/ { signature = signature " " $0 }
