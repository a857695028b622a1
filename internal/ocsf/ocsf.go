// Package ocsf has the words of the Open Cybersecurity Schema Framework that
// lists of disclosures and alerts share, as JSON.
//
//	m := ocsf.MetadataOf("abaton watch", uid)
//
// It knows no class of events: disclosure writes API Activity, alert Detection
// Finding. It does not check an event against the schema.
package ocsf

// Version is of the schema at schema.ocsf.io, of March 2026.
const Version = "1.8.0"

// Metadata says which schema and product an event is of.
type Metadata struct {
	Version string  `json:"version"`
	UID     string  `json:"uid"`
	LogName string  `json:"log_name"`
	Tenant  string  `json:"tenant_uid,omitempty"`
	Product Product `json:"product"`
}

// Product is what made an event.
type Product struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

// MetadataOf is of an event of this product, in a log, under a name of its own.
func MetadataOf(log, uid string) Metadata {
	return Metadata{Version: Version, UID: uid, LogName: log, Product: Product{"Abaton", "Abaton"}}
}

// Entity is something with a name of its own.
type Entity struct {
	UID  string `json:"uid"`
	Name string `json:"name,omitempty"`
}

// Party is who did something; the schema calls it user.
type Party struct {
	UID    string  `json:"uid"`
	Name   string  `json:"name,omitempty"`
	TypeID int     `json:"type_id"` // 0 unknown, 1 user, 4 service
	Org    *Entity `json:"org,omitempty"`
	Groups []Group `json:"groups,omitempty"` // the role
}

// Group is what a party is one of.
type Group struct {
	Name string `json:"name"`
}
