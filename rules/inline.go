package rules

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// signature knows an inline script by tokens that must all occur in it.
type signature struct {
	tokens [][]byte
	anchor int // which token is looked for first
	verdict
}

// inlineTable finds the first signature whose tokens all occur in a text. The
// text is read once to find anchors, of which few occur by chance.
type inlineTable struct {
	signatures []signature
	anchors    grams
}

// maxTokens and the lengths below bound a signature.
const (
	maxTokens          = 8
	minSignatureLength = 6
	minAnchorLength    = 5 // of the longest token, so that every second place is looked at
	maxTokenLength     = 200
)

// checkTokens refuses a signature that is a loose substring.
func checkTokens(tokens []string) error {
	total, longest := 0, 0
	for _, t := range tokens {
		if t == "" {
			return errors.New("inline signature has an empty token")
		}
		total += len(t)
		longest = max(longest, len(t))
	}
	switch {
	case len(tokens) > maxTokens:
		return fmt.Errorf("inline signature has %d tokens; at most %d", len(tokens), maxTokens)
	case longest > maxTokenLength:
		return fmt.Errorf("inline signature has a token of %d bytes; at most %d", longest, maxTokenLength)
	case longest < minAnchorLength || total < minSignatureLength:
		return fmt.Errorf("inline signature %q is too loose: one token needs at least %d bytes, all together %d", tokens, minAnchorLength, minSignatureLength)
	}
	return nil
}

// build orders the signatures, those with the most bytes first, and indexes
// them.
func (t *inlineTable) build() {
	slices.SortStableFunc(t.signatures, func(a, b signature) int { return signatureLength(b.tokens) - signatureLength(a.tokens) })
	anchors := make([]string, len(t.signatures))
	for i := range t.signatures {
		s := &t.signatures[i]
		least := -1
		for j, token := range s.tokens {
			if len(token) < minAnchorLength {
				continue
			}
			if _, cost := rarest(string(token), minAnchorLength); least < 0 || cost < least {
				s.anchor, least = j, cost
			}
		}
		anchors[i] = string(s.tokens[s.anchor])
	}
	t.anchors = newGrams(anchors)
}

func signatureLength(tokens [][]byte) int {
	n := 0
	for _, t := range tokens {
		n += len(t)
	}
	return n
}

// find returns the first signature that code has, passing over the one whose
// rule is in except.
func (t *inlineTable) find(p *Page, code []byte, except without) *verdict {
	best := len(t.signatures)
	fresh := false // p.tried is this call's
	for i := t.anchors.next(code, 0); i >= 0; i = t.anchors.next(code, i+t.anchors.stride) {
		for _, ref := range t.anchors.at(code, i) {
			id := int(ref.id)
			if id >= best {
				continue
			}
			s := &t.signatures[id]
			start, anchor := i-int(ref.offset), s.tokens[s.anchor]
			if start < 0 || !bytes.HasPrefix(code[start:], anchor) {
				continue
			}
			if !fresh {
				p.clearTried(len(t.signatures))
				fresh = true
			}
			if p.tried[id/64]&(1<<(id%64)) != 0 {
				continue
			}
			p.tried[id/64] |= 1 << (id % 64)
			if !except.has(&s.rule) && s.complete(code) {
				best = id
			}
		}
	}
	if best == len(t.signatures) {
		return nil
	}
	return &t.signatures[best].verdict
}

// complete reports whether the tokens other than the anchor occur.
func (s *signature) complete(code []byte) bool {
	for i, token := range s.tokens {
		if i != s.anchor && !bytes.Contains(code, token) {
			return false
		}
	}
	return true
}

func (p *Page) clearTried(signatures int) {
	n := (signatures + 63) / 64
	if cap(p.tried) < n {
		p.tried = make([]uint64, n)
	}
	p.tried = p.tried[:n]
	clear(p.tried)
}
