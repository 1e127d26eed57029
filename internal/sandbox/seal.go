package sandbox

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// What the document says of encrypted pushes (WeChat 消息推送, 消息加解密说明).
const (
	sealBlock  = 32 // PKCS#7 pads to this, not to AES's own 16.
	sealRandom = 16 // random bytes before the length
	sealHead   = sealRandom + 4
)

// signature is what upstream signs with: the SHA-1 of the parts, sorted and joined.
func signature(parts ...string) string {
	parts = slices.Sorted(slices.Values(parts))
	h := sha1.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// seal encrypts a message: random bytes, its length, itself and the appid; AES-256-CBC, the IV is the key's first half.
func seal(key []byte, random [sealRandom]byte, message []byte, appID string) string {
	plain := make([]byte, 0, sealHead+len(message)+len(appID)+sealBlock)
	plain = append(plain, random[:]...)
	plain = binary.BigEndian.AppendUint32(plain, uint32(len(message)))
	plain = append(plain, message...)
	plain = append(plain, appID...)
	pad := sealBlock - len(plain)%sealBlock
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(fmt.Sprintf("sandbox: %v", err)) // newCarrier lets no other length pass.
	}
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain)
}

// unseal is the message in an Encrypt. The errors say what is wrong with it, unlike those of a service that strangers
// write to: here the peer is one that WeChat itself would have called.
func unseal(key []byte, encrypted, appID string) ([]byte, error) {
	sealed, err := base64.StdEncoding.DecodeString(encrypted)
	if err != nil {
		return nil, errors.New("the Encrypt element is not base64")
	}
	if len(sealed) == 0 || len(sealed)%sealBlock != 0 {
		return nil, fmt.Errorf("the Encrypt element holds %d bytes, a multiple of 32 is wanted", len(sealed))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, key[:aes.BlockSize]).CryptBlocks(plain, sealed)
	plain, err = unpad(plain)
	if err != nil {
		return nil, err
	}
	if len(plain) < sealHead {
		return nil, errors.New("the Encrypt element ends before the length of the message")
	}
	n := uint64(binary.BigEndian.Uint32(plain[sealRandom:]))
	rest := plain[sealHead:]
	if n > uint64(len(rest)) {
		return nil, fmt.Errorf("the length in Encrypt is %d, and %d bytes follow; it is 4 bytes, big-endian", n, len(rest))
	}
	if string(rest[n:]) != appID {
		return nil, errors.New("what follows the message in Encrypt is not the appid")
	}
	return rest[:n], nil
}

// unpad takes the padding off, 1 to 32 bytes that each say how many they are.
func unpad(plain []byte) ([]byte, error) {
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > sealBlock || pad > len(plain) ||
		!bytes.Equal(plain[len(plain)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errors.New("the Encrypt element can't be decrypted with this EncodingAESKey, or is not padded to 32 bytes (PKCS#7)")
	}
	return plain[:len(plain)-pad], nil
}
