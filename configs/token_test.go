package configs

import (
	"fmt"
	"strings"
	"testing"
)

// TestTokenHash takes what argon2id hashes may look like, and no other: one that costs
// too much would let each try to sign in take the machine, and one that is too short
// would let it succeed by chance.
func TestTokenHash(t *testing.T) {
	written := func(m, passes, p, salt, sum int) string {
		return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, passes, p, strings.Repeat("AAAA", salt/3), strings.Repeat("AAAA", sum/3))
	}
	for _, text := range []string{written(65536, 3, 4, 18, 33), written(8, 1, 1, 9, 18), written(maxHashMemory, maxHashTime, 1, 9, 63)} {
		if h, err := ParseTokenHash(text); err != nil || h.String() != text {
			t.Errorf("%s: %q, %v", text, h, err)
		}
	}
	for _, text := range []string{
		"", "secret", "x" + written(8, 1, 1, 9, 18), written(8, 1, 1, 9, 18) + "$", strings.Replace(written(8, 1, 1, 9, 18), "=19", "=16", 1),
		strings.Replace(written(8, 1, 1, 9, 18), "argon2id", "argon2i", 1), strings.Replace(written(8, 1, 1, 9, 18), "t=1", "t=01", 1),
		written(7, 1, 1, 9, 18), written(15, 1, 2, 9, 18), written(maxHashMemory+1, 1, 1, 9, 18), written(8, 0, 1, 9, 18), written(8, maxHashTime+1, 1, 9, 18),
		written(8, 1, 0, 9, 18), written(8, 1, 1, 6, 18), written(8, 1, 1, 9, 15), written(8, 1, 1, 9, 66),
		written(8, 1, 1, 9, 18) + "=", strings.Replace(written(8, 1, 1, 9, 18), "$AAAA", "$AA=A", 1),
	} {
		if h, err := ParseTokenHash(text); err == nil {
			t.Errorf("%s is taken for %s", text, h)
		}
	}
}
