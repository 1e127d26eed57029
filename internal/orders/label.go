package orders

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"carrier/internal/callback"
)

// maxLabel bounds what is kept of a label, in bytes. The documents name no limit.
const maxLabel = 4096

// label writes what is printed on the label as WeChat has it, ##key##value##key##value##, in the order of the keys.
// There is no way to escape a #: one that could be taken for a separator is an error. Errors repeat nothing of data.
func label(data map[string]string, secret string) (string, error) {
	if len(data) == 0 {
		return "", nil
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value := withhold(data[key], secret)
		if key == "" || strings.Contains(key, "#") || strings.ContainsFunc(key, hidden) {
			return "", errors.New("its waybill_data has a key that is empty, or holds a #, or can't be shown")
		}
		if strings.Contains(value, "##") || strings.HasPrefix(value, "#") || strings.HasSuffix(value, "#") || strings.ContainsFunc(value, hidden) {
			return "", errors.New("its waybill_data has a value that begins or ends with #, or has two in a row, or can't be shown")
		}
		b.WriteString("##" + key + "##" + value)
	}
	if b.Len() > maxLabel {
		return "", errors.New("its waybill_data is too long")
	}
	return b.String() + "##", nil
}

// labelFields reads what label wrote.
func labelFields(text string) callback.WaybillData {
	if text == "" {
		return nil
	}
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, "##"), "##"), "##")
	var data callback.WaybillData
	for i := 0; i+1 < len(parts); i += 2 {
		data = append(data, callback.WaybillField{Key: parts[i], Value: parts[i+1]})
	}
	return data
}
