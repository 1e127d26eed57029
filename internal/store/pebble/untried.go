package pebble

import (
	"hash/maphash"

	"carrier/internal/state"
)

// untried remembers the natural pushes that were accepted since the start and never tried: they have no row in r, and
// most outcomes are of such a push, so that most outcomes cost no read. A million of them take 4 MiB. What is not in
// here is read. It belongs to the writer goroutine.
type untried struct {
	seed  maphash.Seed
	pages map[uint64]*untriedPage
}

const pageNumbers = 256

// untriedPage holds, for numbers in a row, a hash of the push's waybill; 0 where there is none.
type untriedPage struct {
	tags  [pageNumbers]uint32
	count int
}

func newUntried(seed maphash.Seed) untried { return untried{seed, map[uint64]*untriedPage{}} }

// tag is a hash of a waybill that is never 0.
func (u *untried) tag(w state.Waybill) uint32 { return uint32(hashWaybill(u.seed, w)) | 1 }

func (u *untried) add(seq uint64, w state.Waybill) {
	page := u.pages[seq/pageNumbers]
	if page == nil {
		page = new(untriedPage)
		u.pages[seq/pageNumbers] = page
	}
	if page.tags[seq%pageNumbers] == 0 {
		page.count++
	}
	page.tags[seq%pageNumbers] = u.tag(w)
}

func (u *untried) has(seq uint64, w state.Waybill) bool {
	page := u.pages[seq/pageNumbers]
	return page != nil && page.tags[seq%pageNumbers] == u.tag(w)
}

func (u *untried) remove(seq uint64) {
	page := u.pages[seq/pageNumbers]
	if page == nil || page.tags[seq%pageNumbers] == 0 {
		return
	}
	page.tags[seq%pageNumbers] = 0
	if page.count--; page.count == 0 {
		delete(u.pages, seq/pageNumbers)
	}
}
