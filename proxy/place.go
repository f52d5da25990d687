package proxy

import (
	"net/netip"
	"sync/atomic"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/rules/consent"
)

// What a request tells about its visitor, beside the choice.

// objection returns the signal by which the browser objects.
func (x *exchange) objection() consent.Objection {
	switch {
	case string(x.request.get(nameSecGPC)) == "1":
		return consent.GPC
	case x.site.DoNotTrack && string(x.request.get(nameDNT)) == "1":
		return consent.DNT
	}
	return consent.NoObjection
}

// locate returns where the visitor is, and what told it: a trusted proxy's
// field, or the database. It is asked only if the site's regime depends on it.
func (x *exchange) locate() (at consent.Place, by string) {
	if !x.site.asksPlace() {
		return 0, ""
	}
	l := &x.cfg.Location
	if l.CountryHeader != "" && x.trusted(x.v.peer) {
		if at = consent.PlaceOf(x.request.only(l.CountryHeader), x.request.only(l.RegionHeader)); at != 0 {
			return at, l.CountryHeader
		}
	}
	if l.Database != nil {
		return x.site.places.find(x.client), "database"
	}
	return 0, ""
}

// regimeRule says what decided the regime, as receipts carry it.
func (x *exchange) regimeRule() string {
	if !x.site.Regimes.ByPlace() {
		return "default"
	}
	_, rule := x.site.Regimes.Decide(x.place)
	if x.place == 0 {
		return rule + ", place unknown"
	}
	return rule + ", by " + x.located
}

// asksPlace reports whether what the site does depends on where a visitor is.
func (s *site) asksPlace() bool { return s.Regimes.ByPlace() || len(s.GPP.Sections) > 0 }

// section returns the section of the GPP that is in force for the visitor.
func (x *exchange) section() string {
	if len(x.site.GPP.Sections) == 0 || x.shown.Child {
		return ""
	}
	return x.site.GPP.InForce(x.place, x.shown.Regime)
}

// fieldsAsked names the request fields that pages depend on by the site's
// configuration.
func (s *site) fieldsAsked(l *configs.Location) (names []string) {
	if s.asksPlace() && l.CountryHeader != "" {
		names = append(names, l.CountryHeader)
		if l.RegionHeader != "" {
			names = append(names, l.RegionHeader)
		}
	}
	if s.DoNotTrack {
		names = append(names, "DNT")
	}
	return names
}

// only returns the value of the field of that name; nil where there is none, or
// several, of which one may be a stranger's.
func (h *head) only(name string) (value []byte) {
	found := 0
	for i := range h.fields {
		if f := &h.fields[i]; name != "" && equalFold(f.name, name) {
			value = f.value
			found++
		}
	}
	if found != 1 {
		return nil
	}
	return value
}

// places finds the places of addresses in a database. Few records are behind
// many addresses: those that were read last are kept, so that a look-up
// allocates nothing.
type places struct {
	database *maxminddb.Reader
	// read holds a record's offset in the upper half and its place in the
	// lower, at the remainder of the offset.
	read [1024]atomic.Uint64
}

func newPlaces(l *configs.Location) *places {
	if l.Database == nil {
		return nil
	}
	return &places{database: l.Database}
}

func (p *places) find(address netip.Addr) consent.Place {
	record := p.database.Lookup(address)
	if record.Err() != nil || !record.Found() {
		return 0
	}
	offset := uint64(record.Offset()) + 1
	kept := &p.read[offset%uint64(len(p.read))]
	if k := kept.Load(); k>>32 == offset {
		return consent.Place(k)
	}
	var country, region string
	if record.DecodePath(&country, "country", "iso_code") != nil || record.DecodePath(&region, "subdivisions", 0, "iso_code") != nil {
		return 0
	}
	at := consent.PlaceOf(country, region)
	kept.Store(offset<<32 | uint64(at))
	return at
}
