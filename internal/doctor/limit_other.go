//go:build !unix

package doctor

// permissions: who may read a file is not in its mode here.
const permissions = false

// openFilesLimit is not known on this system.
func openFilesLimit() (n uint64, ok bool) { return 0, false }
