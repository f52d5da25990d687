package rules

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"sync"
)

// gramLength is how many bytes are looked at together.
const gramLength = 4

// grams finds where in a text the first gramLength bytes of one of many literals may
// stand, in one pass whatever their number. The case of letters is not looked at; who
// asks compares the literal itself.
type grams struct {
	filter *[1 << (filterBits - 6)]uint64
	slots  []gramSlot
	ids    []uint32 // of literals, those that begin alike side by side
}

// filterBits is the binary logarithm of the filter's size in bits. The filter,
// 16 KiB, is to stay in a processor's first cache, and be nearly empty.
const filterBits = 17

type gramSlot struct {
	gram  uint32
	first uint32 // 1 + index into ids, 0 for an empty slot
	n     uint32
}

// newGrams enters literals of at least gramLength bytes each.
func newGrams(literals []string) grams {
	var g grams
	if len(literals) == 0 {
		return g
	}
	byGram := map[uint32][]uint32{}
	var order []uint32
	for id, s := range literals {
		gram := gramOf(s)
		if len(byGram[gram]) == 0 {
			order = append(order, gram)
		}
		byGram[gram] = append(byGram[gram], uint32(id))
	}
	g.filter = new([1 << (filterBits - 6)]uint64)
	g.slots = make([]gramSlot, max(16, 1<<bits.Len(uint(2*len(order)))))
	for _, gram := range order {
		h := gram * gramHash
		bit := h >> (32 - filterBits)
		g.filter[bit/64] |= 1 << (bit % 64)
		mask := uint32(len(g.slots) - 1)
		at := (h >> 7) & mask
		for g.slots[at].first != 0 {
			at = (at + 1) & mask
		}
		g.slots[at] = gramSlot{gram, uint32(len(g.ids) + 1), uint32(len(byGram[gram]))}
		g.ids = append(g.ids, byGram[gram]...)
	}
	return g
}

const gramHash = 0x9e3779b1

// fold maps upper-case letters to lower case, and some other bytes to one
// another, which is as good for a filter.
func fold(gram uint32) uint32 { return gram | 0x20202020 }

// next returns the first place from i on where a literal may begin; -1 for none.
func (g *grams) next(text []byte, i int) int {
	filter := g.filter
	if filter == nil {
		return -1
	}
	// Four runs out of one load: it is the branch that costs.
	for ; i+8 <= len(text); i += 4 {
		w := binary.LittleEndian.Uint64(text[i:]) | 0x2020202020202020
		a, b, c, d := probe(filter, uint32(w)), probe(filter, uint32(w>>8)), probe(filter, uint32(w>>16)), probe(filter, uint32(w>>24))
		if (a|b|c|d)&1 != 0 {
			for a&1 == 0 {
				a, b, c = b, c, d
				i++
			}
			return i
		}
	}
	for ; i+gramLength <= len(text); i++ {
		if probe(filter, gramAt(text[i:]))&1 != 0 {
			return i
		}
	}
	return -1
}

// gramOf returns the run that s begins with, folded.
func gramOf(s string) uint32 {
	return fold(uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
}

// gramAt returns the run that text begins with, folded.
func gramAt(text []byte) uint32 { return fold(binary.LittleEndian.Uint32(text)) }

// probe returns in its lowest bit whether a run is in the filter.
func probe(filter *[1 << (filterBits - 6)]uint64, gram uint32) uint64 {
	bit := gram * gramHash >> (32 - filterBits)
	return filter[bit/64] >> (bit % 64)
}

// at returns the numbers of the literals that may begin at place i.
func (g *grams) at(text []byte, i int) []uint32 {
	gram := gramAt(text[i:])
	mask := uint32(len(g.slots) - 1)
	for at := (gram * gramHash >> 7) & mask; g.slots[at].first != 0; at = (at + 1) & mask {
		if s := &g.slots[at]; s.gram == gram {
			return g.ids[s.first-1 : s.first-1+s.n]
		}
	}
	return nil
}

// commonRuns are what URLs and scripts are full of.
const commonRuns = "http:// https://www. .com/ .co.uk/ .net/ .org/ .min.js? .bundle.js .css? .html .php? .aspx? .json? .gif? .png? .jpg? .jpeg .svg .webp .woff2 " +
	"/images/ /image/ /img/ /assets/ /static/ /scripts/ /script/ /styles/ /content/ /uploads/ /media/ /common/ /public/ /resources/ /modules/ /templates/ /themes/ " +
	"/plugins/ /wp-content/ /wp-includes/ /production/ /product/ /files/ /pages/ /site/ /core/ /main/ /index /header /footer /search /user /video /player /embed " +
	"/widget /fonts /icons /logo /jquery /bootstrap /webpack /vendor /polyfill /runtime /chunk /query /ajax/libs/ /npm/ /dist/ /cdn. /api/ /v1/ /v2/ /all.min /ads " +
	".js?ver= &ver= ?id= &id= ?v= &v= &width= &height= &quality= =true =false " +
	"/js/ /css/ /app/ /10/ /11/ /12/ -300x -150x 300x2 300x6 0x200 0x300 .min. images/wp- /stat- /stream- " +
	"function(window,document,'script') var return createElement getElementsByTagName .async=1; .src= true false null addEventListener querySelector " +
	"appendChild insertBefore parentNode typeof undefined push(arguments) length prototype this. ==== ---- " +
	"Object.keys project implements exports options new Array character charCodeAt readyState then( callback( dataLayer data- append( global token reference " +
	"click add( remove( classList query select(All) window.location event. setAttribute preventDefault require( module default import instance string number " +
	"else if( for( while catch error throw Promise async await const let class extends static get set map( filter( forEach( join( split( slice( replace( indexOf( " +
	"test( match( exec( parse( stringify( JSON Math. random( floor( Date( getTime( setTimeout( setInterval( clear console.log( onload onclick script style width height " +
	"text/javascript application/json type: name: value: url: path: id: key: src: href host protocol https: origin cookie storage local session user page title label " +
	"config settings init( initialize start stop load( ready( loaded send( track( create( update( delete( render( container element target parent child body head " +
	"version license copyright use strict jQuery(function($) .ready( .prototype. .length .call(this .apply( .bind( .then( .catch( .push( .concat( hasOwnProperty "

var common = sync.OnceValue(func() *runFilter {
	f := new(runFilter)
	for i := 0; i+gramLength <= len(commonRuns); i++ {
		f.add(uint64(gramOf(commonRuns[i:])))
	}
	return f
})

// commonness weighs a run of bytes: how often it would be met in vain.
func commonness(run string) int {
	cost := 1
	if common().has(uint64(gramOf(run))) {
		cost += 20
	}
	if strings.Contains(run, "//") {
		cost += 40
	}
	for i := 0; i < len(run); i++ {
		cost += int(costsInURLs[run[i]|0x20])
	}
	return cost
}

var costsInURLs = letterCosts("etaoinsr")

// letterCosts weighs small letters, and twice the bytes that are met often.
func letterCosts(often string) (costs [256]uint8) {
	for c := 'a'; c <= 'z'; c++ {
		costs[c] = 1
	}
	for _, c := range often {
		costs[c] = 2
	}
	return costs
}
