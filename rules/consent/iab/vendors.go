package iab

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// VendorList is what is read of a Global Vendor List (GVL), version 3: JSON as
// the IAB publishes it.
type VendorList struct {
	// Version and PolicyVersion are the list's own.
	Version, PolicyVersion int
	// Vendors are in the order of their IDs, without those that were deleted.
	Vendors []Vendor
}

// Vendor is one of a list.
type Vendor struct {
	ID   int
	Name string
	// Purposes are those that the vendor asks consent for, from 1.
	Purposes []int
}

// MaxVendorList is the longest list that is read, in bytes; that of 2026 has
// about one million.
const MaxVendorList = 16 << 20

// maxID is the largest ID and version that the formats have room for.
const (
	maxID      = 1<<16 - 1
	maxVersion = 1<<12 - 1
)

// ParseVendorList reads a list.
func ParseVendorList(text []byte) (*VendorList, error) {
	var gvl struct {
		Specification int `json:"gvlSpecificationVersion"`
		Version       int `json:"vendorListVersion"`
		Policy        int `json:"tcfPolicyVersion"`
		Vendors       map[string]struct {
			ID       int    `json:"id"`
			Name     string `json:"name"`
			Purposes []int  `json:"purposes"`
			Deleted  string `json:"deletedDate"`
		} `json:"vendors"`
	}
	if err := json.Unmarshal(text, &gvl); err != nil {
		return nil, fmt.Errorf("iab: vendor list: %w", err)
	}
	switch {
	case gvl.Specification != 3:
		return nil, fmt.Errorf("iab: vendor list: gvlSpecificationVersion is %d, want 3", gvl.Specification)
	case gvl.Version < 1 || gvl.Version > maxVersion || gvl.Policy < 4 || gvl.Policy > 63:
		return nil, fmt.Errorf("iab: vendor list: version %d under policy version %d is none of TCF 2.2 or later", gvl.Version, gvl.Policy)
	case len(gvl.Vendors) == 0:
		return nil, errors.New("iab: vendor list: no vendor is in it")
	}
	l := &VendorList{Version: gvl.Version, PolicyVersion: gvl.Policy}
	for key, v := range gvl.Vendors {
		if v.ID < 1 || v.ID > maxID || fmt.Sprint(v.ID) != key {
			return nil, fmt.Errorf("iab: vendor list: vendor %q has the ID %d", key, v.ID)
		}
		if v.Deleted == "" {
			l.Vendors = append(l.Vendors, Vendor{v.ID, v.Name, v.Purposes})
		}
	}
	slices.SortFunc(l.Vendors, func(a, b Vendor) int { return cmp.Compare(a.ID, b.ID) })
	return l, nil
}

// Only returns the list with the vendors of these IDs alone. Its error names an
// ID that is not in the list.
func (l *VendorList) Only(ids []int) (*VendorList, error) {
	only := &VendorList{Version: l.Version, PolicyVersion: l.PolicyVersion}
	for _, id := range ids {
		if !slices.ContainsFunc(l.Vendors, func(v Vendor) bool { return v.ID == id }) {
			return nil, fmt.Errorf("iab: vendor %d is not in version %d of the vendor list, or was deleted from it", id, l.Version)
		}
	}
	for _, v := range l.Vendors {
		if slices.Contains(ids, v.ID) {
			only.Vendors = append(only.Vendors, v)
		}
	}
	return only, nil
}
