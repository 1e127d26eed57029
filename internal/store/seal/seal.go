// Package seal encrypts the few secrets that engines keep, such as waybills' Tokens, alike in all of them.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Keys are AES-256 keys, the newest first: that one seals, all of them open. nil seals nothing. With random nonces a key
// is good for 2^32 secrets (NIST SP 800-38D, 8.3); keys are to be changed long before that.
type Keys []key

type key struct {
	id   ID
	aead cipher.AEAD
}

// ID tells keys apart without telling anything of them: it begins their SHA-256. What is sealed says under which.
type ID [8]byte

// New takes keys of 32 bytes.
func New(keys [][]byte) (k Keys, err error) {
	for i, raw := range keys {
		if len(raw) != 32 {
			return nil, fmt.Errorf("key %d for Tokens has %d bytes; AES-256 takes 32", i+1, len(raw))
		}
		block, err := aes.NewCipher(raw)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("carrier Token key\x00"), raw...))
		k = append(k, key{ID(sum[:8]), aead})
	}
	return k, nil
}

// Seal appends to a record, of which there is nothing yet but a header, the id of the newest key, a nonce of 12 random bytes
// and the AES-256-GCM of plain. The header, the id, and place are additional data: what is sealed opens nowhere else than
// in that place. There must be a key.
func (k Keys) Seal(header, place, plain []byte) []byte {
	record := append(header, k[0].id[:]...)
	return k[0].aead.Seal(record, nil, plain, slices.Concat(place, record))
}

// ErrDamaged: what was sealed was altered, or stands in another place than it was sealed for.
var ErrDamaged = errors.New("a sealed value is damaged")

// MissingKeyError says that something is sealed under a key that is not given.
type MissingKeyError struct{ Key ID }

// Error names the key, and says what to do.
func (e *MissingKeyError) Error() string {
	return fmt.Sprintf("it is sealed under a key (%x) that store.key_file does not hold; "+
		"put that key back, below the newest, and restart", e.Key)
}

// Open opens a record that Seal made in the same place; header is how many bytes come before the key's id. It fails with a
// *MissingKeyError if that key is not there, and with ErrDamaged if it does not open.
func (k Keys) Open(record []byte, header int, place []byte) ([]byte, error) {
	end := header + len(ID{})
	if len(record) < end {
		return nil, ErrDamaged
	}
	id := ID(record[header:end])
	i := slices.IndexFunc(k, func(k key) bool { return k.id == id })
	if i < 0 {
		return nil, &MissingKeyError{id}
	}
	plain, err := k[i].aead.Open(nil, nil, record[end:], slices.Concat(place, record[:end]))
	if err != nil {
		return nil, ErrDamaged
	}
	return plain, nil
}
