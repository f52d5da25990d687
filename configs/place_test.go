package configs

import (
	"bytes"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/askfirst/askfirst/rules/consent"
)

// placesFile is a database of a few networks, for the tests of all packages.
const placesFile = "testdata/places.mmdb"

// network is where the addresses of a prefix are.
type network struct{ prefix, country, region string }

var networks = []network{
	{"192.0.2.0/25", "DE", "BY"},
	{"192.0.2.128/25", "US", "CA"},
	{"198.51.100.0/24", "US", ""},
	{"203.0.113.0/24", "", ""},
	{"2001:db8::/32", "AU", "NSW"},
}

// mmdb writes a database as the MaxMind DB format, version 2.0, describes it.
func mmdb(networks []network) []byte {
	const empty = ^uint32(0)
	nodes := [][2]uint32{{empty, empty}}
	var data bytes.Buffer
	type leaf struct{ node, side, offset uint32 }
	var leaves []leaf
	for _, n := range networks {
		prefix := netip.MustParsePrefix(n.prefix)
		address, length := prefix.Addr().As16(), prefix.Bits()
		if prefix.Addr().Is4() {
			// IPv4 is in ::/96.
			address[10], address[11] = 0, 0
			length += 96
		}
		at := uint32(0)
		for i := range length - 1 {
			side := address[i/8] >> (7 - i%8) & 1
			if nodes[at][side] == empty {
				nodes = append(nodes, [2]uint32{empty, empty})
				nodes[at][side] = uint32(len(nodes) - 1)
			}
			at = nodes[at][side]
		}
		last := length - 1
		leaves = append(leaves, leaf{at, uint32(address[last/8] >> (7 - last%8) & 1), uint32(data.Len())})
		record := map[string]any{}
		if n.country != "" {
			record["country"] = map[string]any{"iso_code": n.country}
		}
		if n.region != "" {
			record["subdivisions"] = []any{map[string]any{"iso_code": n.region}}
		}
		writeValue(&data, record)
	}
	count := uint32(len(nodes))
	for i := range nodes {
		for side := range nodes[i] {
			if nodes[i][side] == empty {
				nodes[i][side] = count
			}
		}
	}
	for _, l := range leaves {
		nodes[l.node][l.side] = count + 16 + l.offset
	}
	var file bytes.Buffer
	for _, n := range nodes {
		for _, record := range n {
			file.Write([]byte{byte(record >> 16), byte(record >> 8), byte(record)})
		}
	}
	file.Write(make([]byte, 16))
	file.Write(data.Bytes())
	file.WriteString("\xab\xcd\xefMaxMind.com")
	writeValue(&file, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1_790_000_000), "database_type": "askfirst-test", "description": map[string]any{"en": "places for tests"},
		"ip_version": uint16(6), "languages": []any{}, "node_count": count, "record_size": uint16(24),
	})
	return file.Bytes()
}

// writeValue writes a value of the data section. Sizes are under 29.
func writeValue(b *bytes.Buffer, value any) {
	switch v := value.(type) {
	case string:
		b.WriteByte(2<<5 | byte(len(v)))
		b.WriteString(v)
	case uint16:
		b.Write([]byte{5<<5 | 2, byte(v >> 8), byte(v)})
	case uint32:
		b.Write([]byte{6<<5 | 4, byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	case uint64:
		b.Write([]byte{8, 9 - 7})
		for shift := 56; shift >= 0; shift -= 8 {
			b.WriteByte(byte(v >> shift))
		}
	case []any:
		b.Write([]byte{byte(len(v)), 11 - 7})
		for _, e := range v {
			writeValue(b, e)
		}
	case map[string]any:
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b.WriteByte(7<<5 | byte(len(v)))
		for _, k := range keys {
			writeValue(b, k)
			writeValue(b, v[k])
		}
	}
}

func TestDatabaseOfPlaces(t *testing.T) {
	file := mmdb(networks)
	if *update {
		if err := os.WriteFile(placesFile, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(placesFile); err != nil || !bytes.Equal(kept, file) {
		t.Errorf("%s is not what mmdb makes: %v", placesFile, err)
	}
	r, err := maxminddb.OpenBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(); err != nil {
		t.Error(err)
	}
}

func TestRegimesByPlaceAreRead(t *testing.T) {
	cfg, err := Load("testdata/places.good.yml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Location.Database == nil || cfg.Location.CountryHeader != "CF-IPCountry" {
		t.Errorf("location is %+v", cfg.Location)
	}
	for i, want := range []map[string]consent.Regime{
		{"DE": consent.OptOut, "FR": consent.OptIn, "US-CA": consent.OptOut, "US-TX": consent.OptIn, "": consent.OptIn, "XX": consent.OptIn},
		{"DE": consent.OptIn, "US-CA": consent.Notice, "": consent.Notice},
	} {
		for place, regime := range want {
			p, _ := consent.ParsePlace(place)
			if got := cfg.Sites[i].Regimes.Regime(p); got != regime {
				t.Errorf("site %d at %q: %s, want %s", i, place, got, regime)
			}
		}
	}
	if u := cfg.Sites[0].UnderAge; len(u.Paths) != 2 || u.Cookie != "age" || u.CookieValue != "child" || !u.Mark {
		t.Errorf("under age: %+v", u)
	}
}
