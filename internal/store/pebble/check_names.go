package pebble

// names checks that every waybill is found by the end of its number. That no others are found is seen by their number.
func (c *checker) names() {
	err := eachWaybill(c.db, func(k *known) error {
		c.wanted[tableNames]++
		w, _ := parseWaybill(k.name)
		found, err := read(c.db, nameKey(nil, w), func([]byte) error { return nil })
		if err != nil || !found {
			c.problem("waybill %s is not found by the end of its number (%v)", w, err)
		}
		return nil
	})
	if err != nil {
		c.problem("the waybills' numbers: %v", err)
	}
}
