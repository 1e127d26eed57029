package storetest

import "testing"

func runModel(t *testing.T, open Opener) { _, _ = t, open }
