// Package apptest is what the end-to-end and fault tests of the whole product share: an upstream on a real port, a
// configuration file, a client that sends events and asks the admin API, a generator of waybills, and the oracle that
// compares what was promised with what happened.
//
// It knows the product only from outside: its configuration, its HTTP answers and what reaches the upstream. What the
// product promises (contract.go), and what its answers look like (shapes.go), is written down here a second time, so that a
// mistake can't be made on both sides.
package apptest
