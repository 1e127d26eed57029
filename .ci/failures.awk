# What a verbose run of go test says of the tests that failed, and nothing of those that passed: the last lines of each,
# and whatever follows a panic or a race.
/^=== (RUN|NAME|CONT|PAUSE)/ { test = $3; next }
/^ *--- FAIL: / {
	print
	n = split(said[$3], lines, "\n")
	for (i = n > 80 ? n - 80 : 1; i < n; i++) print lines[i]
	next
}
/^(panic:|fatal error:|WARNING: DATA RACE)/ { loud = 1 }
/^(FAIL|ok)/ { loud = 0 }
loud || /^FAIL/ || /^# / || /\.go:[0-9]+:[0-9]+: / { print; next }
/^ *--- / { delete said[$3]; next }
{ said[test] = said[test] $0 "\n" }
