package seal

// Versions of the record of a secret:
//
//	1  the secret as it is
//	2  the key's id (8 bytes), nonce (12 random bytes), AES-256-GCM of the secret; see Seal
const (
	plainSecret  = 1
	sealedSecret = 2
)

// SealSecret makes the record of a secret, sealed if there is a key. place is where it is kept.
func (k Keys) SealSecret(place, secret []byte) []byte {
	if len(k) == 0 {
		return append([]byte{plainSecret}, secret...)
	}
	return k.Seal([]byte{sealedSecret}, place, secret)
}

// OpenSecret reads what SealSecret made, with the errors of Open. What it gives is never nil without an error.
func (k Keys) OpenSecret(place, record []byte) ([]byte, error) {
	switch {
	case len(record) >= 1 && record[0] == plainSecret:
		return append([]byte{}, record[1:]...), nil
	case len(record) < 1 || record[0] != sealedSecret:
		return nil, ErrDamaged
	}
	secret, err := k.Open(record, 1, place)
	if err == nil && secret == nil {
		secret = []byte{}
	}
	return secret, err
}
