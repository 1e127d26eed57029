package callback

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Signature is what WeChat signs with: the SHA-1, in lower-case hex, of the texts sorted and joined. The Token is the
// message push's. A push's signature is over Token, timestamp and nonce, its msg_signature over Encrypt too
// (消息推送, 验证消息的确来自微信服务器; 消息加解密, 安全签名).
//
// The texts are joined without anything between them, so other texts can have the same signature: see
// [Message.ReplayKey].
func Signature(token, timestamp, nonce string, more ...string) string {
	texts := append([]string{token, timestamp, nonce}, more...)
	slices.Sort(texts)
	sum := sha1.Sum([]byte(strings.Join(texts, "")))
	return hex.EncodeToString(sum[:])
}

// signed compares in constant time: how much of a guess was right must not show.
func (s *secrets) signed(got, timestamp, nonce string, more ...string) bool {
	want := Signature(s.token, timestamp, nonce, more...)
	return subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// How a message is laid out before encryption, and how it is padded (消息加解密, 加解密方案):
//
//	16 bytes     random
//	4 bytes      length of the message, big endian
//	...          the message
//	...          the AppID
//	1..32 bytes  PKCS#7 padding to a multiple of 32, though AES has blocks of 16
const (
	aesKeyBytes = 32
	randomBytes = 16
	headBytes   = randomBytes + 4
	padBlock    = 32
)

// aesKey is one EncodingAESKey, ready for use: AES-256-CBC whose IV is the key's first 16 bytes.
type aesKey struct {
	block cipher.Block
	iv    [aes.BlockSize]byte
}

func newAESKey(encoded string) (*aesKey, error) {
	raw, err := decodeAESKey(encoded)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("aes: %w", err)
	}
	k := &aesKey{block: block}
	copy(k.iv[:], raw)
	return k, nil
}

// opened is a decrypted message with the key that worked: the reply is encrypted with that one, so that both sides of
// a key change understand each other.
type opened struct {
	message  []byte
	key      *aesKey
	previous bool // It wasn't the current key.
}

// open decrypts the text of an Encrypt element whose signature was found right. [ErrForged] is its one error: what was
// wrong, the padding above all, must not be told.
func (s *secrets) open(encrypt string) (opened, error) {
	if strings.ContainsAny(encrypt, "\r\n") { // The decoder would skip them.
		return opened{}, ErrForged
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(encrypt)
	if err != nil {
		return opened{}, ErrForged
	}
	for i, key := range s.aesKeys {
		if message, ok := key.decrypt(sealed, s.appID); ok {
			return opened{message: message, key: key, previous: i > 0}, nil
		}
	}
	return opened{}, ErrForged
}

// decrypt gives the message, or false if any part of the layout isn't as it must be.
func (k *aesKey) decrypt(sealed []byte, appID string) (message []byte, ok bool) {
	if len(sealed) == 0 || len(sealed)%padBlock != 0 {
		return nil, false
	}
	plain := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(k.block, k.iv[:]).CryptBlocks(plain, sealed)
	plain, ok = unpad(plain)
	if !ok || len(plain) < headBytes {
		return nil, false
	}
	length, rest := binary.BigEndian.Uint32(plain[randomBytes:headBytes]), plain[headBytes:]
	if uint64(length) > uint64(len(rest)) {
		return nil, false
	}
	message, receiver := rest[:length], rest[length:]
	return message, subtle.ConstantTimeCompare(receiver, []byte(appID)) == 1
}

// unpad takes the padding off; plain has at least padBlock bytes. All padding bytes are looked at, whatever they are.
func unpad(plain []byte) ([]byte, bool) {
	count := int(plain[len(plain)-1])
	if count < 1 || count > padBlock {
		return nil, false
	}
	var wrong byte
	for _, b := range plain[len(plain)-count:] {
		wrong |= b ^ byte(count)
	}
	return plain[:len(plain)-count], wrong == 0
}

// seal encrypts a message into the text of an Encrypt element. Only the random source can fail.
func (s *secrets) seal(key *aesKey, message []byte) (string, error) {
	plain := make([]byte, headBytes, headBytes+len(message)+len(s.appID)+padBlock)
	if _, err := io.ReadFull(s.random, plain[:randomBytes]); err != nil {
		return "", fmt.Errorf("encrypt a reply: random bytes: %w", err)
	}
	binary.BigEndian.PutUint32(plain[randomBytes:], uint32(len(message)))
	plain = append(plain, message...)
	plain = append(plain, s.appID...)
	count := padBlock - len(plain)%padBlock
	plain = append(plain, bytes.Repeat([]byte{byte(count)}, count)...)
	cipher.NewCBCEncrypter(key.block, key.iv[:]).CryptBlocks(plain, plain)
	return base64.StdEncoding.EncodeToString(plain), nil
}
