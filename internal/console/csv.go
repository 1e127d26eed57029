package console

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carrier/internal/admin"
	"carrier/internal/store"
)

const (
	// maxCSVRows bounds an export; Excel takes about a million rows, and people read fewer.
	maxCSVRows = 50_000
	// csvTime is how long a slow reader may take for all of it.
	csvTime = 5 * time.Minute
)

// byteOrderMark tells Excel that a file is UTF-8; without it Chinese is read as GBK or Latin-1.
const byteOrderMark = "\ufeff"

// PushesCSV sends a filtered list of pushes as a file that Excel opens. It is read page by page as it is sent. One that
// was cut says so in its last row: a file must not look whole when it is not.
func (c *Console) PushesCSV(v *Visit) error {
	given, err := v.Query()
	if err != nil {
		return err
	}
	q, err := admin.PushQuery(given, time.Now())
	if err != nil {
		return err
	}
	q.Limit = store.MaxLimit
	first, err := c.admin.Pushes(v.Context(), v.By, q)
	if err != nil {
		return err
	}
	if err := v.takesLong(csvTime); err != nil {
		return err
	}
	h := v.W.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="pushes-`+time.Now().In(beijing).Format("20060102-1504")+`.csv"`)
	c.writeCSV(v, q, first)
	return nil
}

// writeCSV sends the pages of a list, from the first. An error in the middle is told in the file: the answer has begun.
func (c *Console) writeCSV(v *Visit, q store.Query, page admin.List[admin.PushItem]) {
	_, _ = io.WriteString(v.W, byteOrderMark)
	file := csv.NewWriter(v.W)
	file.UseCRLF = true
	_ = file.Write(csvHeader(v))
	for rows := 0; ; {
		for i := range page.Items {
			_ = file.Write(csvRow(v, &page.Items[i])) // The writer remembers an error.
		}
		rows += len(page.Items)
		file.Flush()
		switch {
		case file.Error() != nil || page.NextCursor == "":
			return
		case rows >= maxCSVRows:
			csvNote(file, v.T("csv.cut", rows))
			return
		}
		next, err := c.nextPage(v, q, page.NextCursor)
		if err != nil {
			c.log.Error("an export broke off", "by", v.By.Name, "rows", rows, "err", err)
			csvNote(file, v.T("csv.broken", rows))
			return
		}
		page = next
	}
}

// nextPage reads on where a page ended.
func (c *Console) nextPage(v *Visit, q store.Query, cursor string) (admin.List[admin.PushItem], error) {
	at, err := admin.PushQuery(map[string][]string{"cursor": {cursor}}, time.Now())
	if err != nil {
		return admin.List[admin.PushItem]{}, err
	}
	q.Before = at.Before
	return c.admin.Pushes(v.Context(), v.By, q)
}

func csvNote(file *csv.Writer, note string) {
	_ = file.Write([]string{note})
	file.Flush()
}

// csvColumns are the texts of the first row.
var csvColumns = []string{
	"csv.seq", "csv.delivery_id", "csv.waybill_id", "csv.event_id", "csv.source", "csv.action_type", "csv.action", "csv.action_time", "csv.action_msg",
	"csv.status", "csv.waiting_for", "csv.attempts", "csv.errcode", "csv.errmsg", "csv.meaning", "csv.reason", "csv.received_at", "csv.delivered_at",
	"csv.next_attempt_at",
}

func csvHeader(v *Visit) []string {
	header := make([]string, len(csvColumns))
	for i, key := range csvColumns {
		header[i] = v.T(key)
	}
	return header
}

func csvRow(v *Visit, p *admin.PushItem) []string {
	f := formatter{v.lang}
	errcode := ""
	if p.Errcode != nil {
		errcode = strconv.Itoa(*p.Errcode)
	}
	return []string{
		strconv.FormatUint(p.Seq, 10), csvWords(p.DeliveryID), csvName(p.WaybillID), csvName(p.EventID), csvWords(p.Source),
		p.ActionType.String(), f.action(p.ActionType), csvTimeOf(p.ActionTime), csvWords(p.ActionMsg),
		f.name("push.", p.Status), f.name("waiting.", p.WaitingFor), strconv.Itoa(p.Attempts), errcode, csvWords(p.Errmsg),
		csvWords(v.In(admin.Meaning(p.Errcode))), csvWords(f.name("why.", p.Reason)), csvTimeOf(p.ReceivedAt), csvTimeOf(p.DeliveredAt), csvTimeOf(p.NextAttemptAt),
	}
}

// csvTimeOf is an instant in Beijing as Excel reads it; empty for none.
func csvTimeOf(v any) string {
	t := instant(v)
	if t.IsZero() {
		return ""
	}
	return t.In(beijing).Format(time.DateTime)
}

// plainName is what a waybill number is made of, nearly always.
var plainName = regexp.MustCompile(`^[0-9A-Za-z_.-]+$`)

// csvName is a number that is a name. Excel reads long digits as a number and rounds them, 1E5 as one with an exponent,
// and 3-4 as a day; as ="..." it is text, and copied without anything around it. Only plain ones are written so.
func csvName(name string) string {
	if plainName.MatchString(name) {
		return fmt.Sprintf(`="%s"`, name)
	}
	return csvWords(name)
}

// csvWords is a text that Excel must not take for a formula: strangers wrote it. The characters are those with which
// spreadsheets begin one, also in full width, and those that they skip before (OWASP, CSV Injection).
func csvWords(text string) string {
	if strings.IndexAny(text, "=+-@\t\r\n＝＋－＠") == 0 {
		return "'" + text
	}
	return text
}
