package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/store/codec"
)

const orderVersion = 1

// orderRecord is a row of o.
type orderRecord struct {
	store.Order
	number uint64 // Of its row in v: the higher, the newer.
}

// orderKey is the key of a row of o; without its letter, the value of one of v.
func orderKey(b []byte, k store.OrderKey) []byte {
	b = append(b, tableOrders)
	b = append(append(b, k.DeliveryID...), 0)
	b = append(append(b, k.BizID...), 0)
	return append(b, k.OrderID...)
}

// parseOrderKey is the reverse of orderKey.
func parseOrderKey(key []byte) (k store.OrderKey, ok bool) {
	if len(key) == 0 {
		return k, false
	}
	parts := bytes.Split(key[1:], []byte{0})
	if len(parts) != 3 {
		return k, false
	}
	return store.OrderKey{DeliveryID: string(parts[0]), BizID: string(parts[1]), OrderID: string(parts[2])}, true
}

// orderedPrefix is what all keys of a waybill's rows of v begin with.
func orderedPrefix(b []byte, w state.Waybill) []byte {
	return append(waybillKey(b, tableOrdered, w), 0)
}

func orderedKey(b []byte, w state.Waybill, number uint64) []byte {
	return binary.BigEndian.AppendUint64(orderedPrefix(b, w), number)
}

// encodeOrder appends a row of o.
func encodeOrder(b []byte, r *orderRecord) []byte {
	b = append(b, orderVersion)
	b = binary.AppendUvarint(b, r.number)
	b = codec.AppendString(b, r.WaybillID)
	b = codec.AppendString(b, r.ShopAppID)
	b = binary.AppendVarint(b, int64(r.ResultCode))
	b = codec.AppendString(b, r.ResultMsg)
	b = codec.AppendString(b, r.WaybillData)
	b = codec.AppendTime(b, r.ReceivedAt)
	return codec.AppendTime(b, r.CancelledAt)
}

func decodeOrder(key, value []byte) (rec orderRecord, err error) {
	k, ok := parseOrderKey(key)
	if !ok {
		return rec, codec.ErrRecord
	}
	r := codec.Open(value, orderVersion)
	rec.OrderKey, rec.number = k, r.Uint()
	rec.WaybillID, rec.ShopAppID = r.Text(), r.Text()
	rec.ResultCode, rec.ResultMsg, rec.WaybillData = int(r.Int()), r.Text(), r.Text()
	rec.ReceivedAt, rec.CancelledAt = r.Time(), r.Time()
	return rec, r.End()
}

// fitOrder refuses names that keys can't hold.
func fitOrder(o *store.Order) error {
	for name, value := range map[string]string{
		"delivery id": o.DeliveryID, "biz id": o.BizID, "order id": o.OrderID, "waybill id": o.WaybillID,
	} {
		if value == "" || strings.ContainsRune(value, 0) {
			return fmt.Errorf("an order's %s is %w", name, errName)
		}
	}
	return nil
}

var errName = errors.New("empty or holds a zero byte")
