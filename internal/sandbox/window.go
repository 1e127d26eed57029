package sandbox

import "time"

// beijing is where upstream's days begin. China has no daylight saving time.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// day numbers Beijing's days, minute the minutes.
func day(t time.Time) int64 {
	_, offset := t.In(beijing).Zone()
	return (t.Unix() + int64(offset)) / (24 * 60 * 60)
}

// month numbers Beijing's months.
func month(t time.Time) int64 {
	t = t.In(beijing)
	return int64(t.Year())*12 + int64(t.Month())
}

func minute(t time.Time) int64 { return t.Unix() / 60 }

// window counts uses within one day, or minute.
type window struct {
	at   int64
	used int
}

// take counts one use at the window numbered at; false if that would be more than limit.
func (w *window) take(at int64, limit int) bool {
	if w.at != at {
		*w = window{at: at}
	}
	if w.used >= limit {
		return false
	}
	w.used++
	return true
}
