package postgres

import (
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// column is a column of a table as a row of type R has it: it makes the array that unnest takes, and the place that a
// query is scanned into. Each column is named once, and the statements are made of that.
type column[R any] struct {
	name  string
	typ   string             // Of one value.
	cast  bool               // The array holds texts, cast one by one: unnest would take an array of arrays apart.
	array func(rows []R) any // nil: never written.
	dest  func(row R) any    // nil: never read.
}

// plain is a column whose Go type the driver knows.
func plain[R, T any](name, typ string, field func(R) *T) column[R] {
	return column[R]{
		name: name, typ: typ,
		array: func(rows []R) any { return gather(rows, func(r R) T { return *field(r) }) },
		dest:  func(r R) any { return field(r) },
	}
}

// computed is a column that is written and never read.
func computed[R, T any](name, typ string, value func(R) T) column[R] {
	return column[R]{name: name, typ: typ, array: func(rows []R) any { return gather(rows, value) }}
}

// words is a text that is kept byte for byte: a text of PostgreSQL's holds no zero byte.
func words[R any](name string, field func(R) *string) column[R] {
	return column[R]{
		name: name, typ: "bytea",
		array: func(rows []R) any { return gather(rows, func(r R) []byte { return []byte(*field(r)) }) },
		dest:  func(r R) any { return (*wordsDest)(field(r)) },
	}
}

// number is a bigint that is never negative.
func number[R any](name string, field func(R) *uint64) column[R] {
	return column[R]{
		name: name, typ: "bigint",
		array: func(rows []R) any { return gather(rows, func(r R) int64 { return int64(*field(r)) }) },
		dest:  func(r R) any { return (*numberDest)(field(r)) },
	}
}

// small is a smallint for one of few named values.
func small[R any, T ~uint8](name string, field func(R) *T) column[R] {
	return column[R]{
		name: name, typ: "smallint",
		array: func(rows []R) any { return gather(rows, func(r R) int16 { return int16(*field(r)) }) },
		dest:  func(r R) any { return &smallDest[T]{field(r)} },
	}
}

// whole is an integer or a bigint whose Go type is any.
func whole[R any, T ~int | ~int32 | ~int64](name, typ string, field func(R) *T) column[R] {
	return column[R]{
		name: name, typ: typ,
		array: func(rows []R) any { return gather(rows, func(r R) int64 { return int64(*field(r)) }) },
		dest:  func(r R) any { return &wholeDest[T]{field(r)} },
	}
}

// stamp is a moment in Unix milliseconds, and null for 0.
func stamp[R any](name string, field func(R) *int64) column[R] {
	return column[R]{
		name: name, typ: "timestamptz",
		array: func(rows []R) any { return gather(rows, func(r R) pgtype.Timestamptz { return timestamp(*field(r)) }) },
		dest:  func(r R) any { return (*stampDest)(field(r)) },
	}
}

// list is an array of numbers.
func list[R any, T ~int32 | ~uint64](name, typ string, field func(R) *[]T) column[R] {
	return column[R]{
		name: name, typ: typ, cast: true,
		array: func(rows []R) any { return gather(rows, func(r R) string { return arrayLiteral(*field(r)) }) },
		dest:  func(r R) any { return &listDest[T]{field(r)} },
	}
}

func gather[R, T any](rows []R, value func(R) T) []T {
	all := make([]T, len(rows))
	for i, r := range rows {
		all[i] = value(r)
	}
	return all
}

// timestamp is a moment in Unix milliseconds as the driver takes it; null for 0.
func timestamp(ms int64) pgtype.Timestamptz {
	if ms == 0 {
		return pgtype.Timestamptz{}
	}
	return pgtype.Timestamptz{Time: time.UnixMilli(ms), Valid: true}
}

// arrayLiteral is an array of numbers as PostgreSQL reads it.
func arrayLiteral[T ~int32 | ~uint64](values []T) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, v := range values {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", v)
	}
	b.WriteByte('}')
	return b.String()
}

type wordsDest string

// ScanBytes takes a bytea.
func (d *wordsDest) ScanBytes(v []byte) error {
	*d = wordsDest(v)
	return nil
}

type numberDest uint64

// ScanInt64 takes a bigint.
func (d *numberDest) ScanInt64(v pgtype.Int8) error {
	*d = numberDest(v.Int64)
	return nil
}

type smallDest[T ~uint8] struct{ to *T }

// ScanInt64 takes a smallint.
func (d *smallDest[T]) ScanInt64(v pgtype.Int8) error {
	*d.to = T(v.Int64)
	return nil
}

type wholeDest[T ~int | ~int32 | ~int64] struct{ to *T }

// ScanInt64 takes an integer.
func (d *wholeDest[T]) ScanInt64(v pgtype.Int8) error {
	*d.to = T(v.Int64)
	return nil
}

type stampDest int64

// ScanTimestamptz takes a timestamptz that may be null.
func (d *stampDest) ScanTimestamptz(v pgtype.Timestamptz) error {
	*d = 0
	if v.Valid {
		*d = stampDest(v.Time.UnixMilli())
	}
	return nil
}

type listDest[T ~int32 | ~uint64] struct{ to *[]T }

// SetDimensions, ScanIndex and ScanIndexType take an array; pgtype.ArraySetter.
func (d *listDest[T]) SetDimensions(dimensions []pgtype.ArrayDimension) error {
	*d.to = nil
	if len(dimensions) > 0 {
		*d.to = make([]T, dimensions[0].Length)
	}
	return nil
}

// ScanIndex is the place of one element.
func (d *listDest[T]) ScanIndex(i int) any { return &elementDest[T]{&(*d.to)[i]} }

// ScanIndexType is a place of the same type.
func (d *listDest[T]) ScanIndexType() any { return new(elementDest[T]) }

type elementDest[T ~int32 | ~uint64] struct{ to *T }

// ScanInt64 takes an element.
func (d *elementDest[T]) ScanInt64(v pgtype.Int8) error {
	*d.to = T(v.Int64)
	return nil
}

// names lists the columns that are read, of a table with an alias.
func names[R any](alias string, columns []column[R]) string {
	var list []string
	for _, c := range columns {
		if c.dest != nil {
			list = append(list, alias+"."+c.name)
		}
	}
	return strings.Join(list, ", ")
}

// dests are the places that names' columns of one row are scanned into.
func dests[R any](columns []column[R], row R) (list []any) {
	for _, c := range columns {
		if c.dest != nil {
			list = append(list, c.dest(row))
		}
	}
	return list
}

// arrays are the arguments of insertSQL and updateSQL.
func arrays[R any](columns []column[R], rows []R) []any {
	list := make([]any, len(columns))
	for i, c := range columns {
		list[i] = c.array(rows)
	}
	return list
}

// unnested is the FROM item u with one row for each element of the arrays, and its columns as they are to be stored.
func unnested[R any](columns []column[R]) (values []string, from string) {
	params, fields := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		typ, value := c.typ, "u."+c.name
		if c.cast {
			typ, value = "text", value+"::"+c.typ
		}
		params[i], fields[i] = fmt.Sprintf("$%d::%s[]", i+1, typ), c.name
		values = append(values, value)
	}
	return values, fmt.Sprintf("unnest(%s) AS u(%s)", strings.Join(params, ", "), strings.Join(fields, ", "))
}

// insertSQL inserts any number of rows.
func insertSQL[R any](table string, columns []column[R]) string {
	values, from := unnested(columns)
	fields := gather(columns, func(c column[R]) string { return c.name })
	return fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s",
		table, strings.Join(fields, ", "), strings.Join(values, ", "), from)
}

// updateSQL updates any number of rows, found by their first keys columns.
func updateSQL[R any](table string, keys int, columns []column[R]) string {
	values, from := unnested(columns)
	var set, where []string
	for i, c := range columns {
		if i < keys {
			where = append(where, fmt.Sprintf("t.%s = u.%s", c.name, c.name))
		} else {
			set = append(set, c.name+" = "+values[i])
		}
	}
	return fmt.Sprintf("UPDATE %s t SET %s FROM %s WHERE %s",
		table, strings.Join(set, ", "), from, strings.Join(where, " AND "))
}

// numberedSQL is insertSQL for a table whose key is worked out for each row, in the order of the arrays.
func numberedSQL[R any](table, key, value string, columns []column[R]) string {
	return keyedSQL(table, key, value, "", columns)
}

// serialSQL is insertSQL for a table that is numbered by a row of serials.
func serialSQL[R any](table, key, serial string, columns []column[R]) string {
	rows := fmt.Sprintf("cardinality($1::%s[])", columns[0].typ)
	take := fmt.Sprintf("WITH s AS (UPDATE serials SET last = last + %s WHERE name = '%s' RETURNING last) ", rows, serial)
	return take + keyedSQL(table, key, "s.last - "+rows+" + u.n", ", s", columns)
}

func keyedSQL[R any](table, key, value, from string, columns []column[R]) string {
	values, unnest := unnested(columns)
	fields := gather(columns, func(c column[R]) string { return c.name })
	// The rows are brought in order first, and then numbered: in one SELECT nothing would say which comes first.
	ordered := fmt.Sprintf("SELECT * FROM %s", strings.Replace(unnest, "AS u(", "WITH ORDINALITY AS u(", 1))
	ordered = strings.TrimSuffix(ordered, ")") + ", n) ORDER BY n"
	return fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT %s, %s FROM (%s) u%s",
		table, key, strings.Join(fields, ", "), value, strings.Join(values, ", "), ordered, from)
}

// pointers are the addresses of a slice's elements.
func pointers[T any](list []T) []*T {
	all := make([]*T, len(list))
	for i := range list {
		all[i] = &list[i]
	}
	return all
}
