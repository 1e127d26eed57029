//go:build !linux

package pgtest

// memoryFolder is where files stay in memory; here there is none that would always be there.
func memoryFolder() string { return "" }
