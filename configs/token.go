package configs

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// TokenHash is the argon2id hash (RFC 9106) of a token that somebody signs in
// with. The zero value matches nothing.
type TokenHash struct {
	memory, time uint32 // KiB, passes
	threads      uint8
	salt, sum    []byte
}

// What NewToken hashes with: the second of the sets that RFC 9106, section 4,
// recommends.
const (
	hashMemory  = 64 << 10
	hashTime    = 3
	hashThreads = 4
	hashSize    = 32
)

// The largest parameters that are taken, so that a hash from elsewhere does not
// cost a sign-in more than 256 MiB or more than a few seconds.
const (
	maxHashMemory = 256 << 10
	maxHashTime   = 16
)

// NewToken makes a token of 128 random bits and its hash.
func NewToken() (token string, hash TokenHash) {
	token = rand.Text()
	hash = TokenHash{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, 16)}
	rand.Read(hash.salt)
	hash.sum = argon2.IDKey([]byte(token), hash.salt, hash.time, hash.memory, hash.threads, hashSize)
	return token, hash
}

// Matches reports whether h is the hash of token. It costs what the hash is made
// to cost: NewToken's takes 64 MiB and some tens of milliseconds.
func (h TokenHash) Matches(token string) bool {
	if h.IsZero() {
		return false
	}
	sum := argon2.IDKey([]byte(token), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
	return subtle.ConstantTimeCompare(sum, h.sum) == 1
}

// IsZero reports whether h is the hash of nothing.
func (h TokenHash) IsZero() bool { return len(h.sum) == 0 }

// String writes the hash in the PHC string format.
func (h TokenHash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.time, h.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.sum))
}

var errTokenHash = errors.New("is no argon2id hash in the PHC format")

// ParseTokenHash reads a hash in the PHC string format:
// $argon2id$v=19$m=65536,t=3,p=4$salt$hash.
func ParseTokenHash(text string) (h TokenHash, err error) {
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return TokenHash{}, errTokenHash
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.threads); n != 3 || err != nil ||
		parts[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.time, h.threads) {
		return TokenHash{}, errTokenHash
	}
	if h.threads < 1 || h.time < 1 || h.time > maxHashTime || h.memory < 8*uint32(h.threads) || h.memory > maxHashMemory {
		return TokenHash{}, fmt.Errorf("has parameters outside of what is taken: m from 8 times p to %d, t from 1 to %d", maxHashMemory, maxHashTime)
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(h.salt) < 8 {
		return TokenHash{}, errTokenHash
	}
	if h.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.sum) < 16 || len(h.sum) > 64 {
		return TokenHash{}, errTokenHash
	}
	return h, nil
}
