package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/seal"
)

func newRecordCommand(e *env) *cobra.Command {
	var as string
	var asJSON bool
	with := func(c *cobra.Command, do func(ctx context.Context, r *ownRecord, args []string) error) *cobra.Command {
		c.RunE = func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			r, err := d.record(c.Context())
			if err != nil {
				return err
			}
			defer e.caveats(r)
			return do(c.Context(), r, args)
		}
		c.Flags().StringVar(&as, "as", "", "the patient: a handle or act1...")
		c.MarkFlagRequired("as")
		return c
	}
	list := with(&cobra.Command{Use: "list", Short: "What is in a patient's record", Args: cobra.NoArgs},
		func(_ context.Context, r *ownRecord, _ []string) error { return e.listRecord(r, asJSON) })
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	show := with(&cobra.Command{Use: "show TYPE/ID", Short: "One resource, as FHIR JSON", Args: cobra.ExactArgs(1)},
		func(_ context.Context, r *ownRecord, args []string) error { return e.showRecord(r, args[0]) })
	export := with(&cobra.Command{Use: "export", Short: "The whole record, one FHIR resource a line", Args: cobra.NoArgs},
		func(_ context.Context, r *ownRecord, _ []string) error { return e.exportRecord(r) })
	c := noun("record", "A patient's own record, read from the keepers with no gateway between", list, show, export)
	return c
}

// ownRecord is a patient's record, opened by the patient's own device.
type ownRecord struct {
	chart      fhir.Chart
	categories map[string]fhir.Category       // Type/id -> where it lies
	persons    map[string]abaton.ActorID      // versionId -> who acted
	names      map[string][]abaton.RecordName // Type/id -> its versions
	sizes      map[string]int                 // versionId -> bytes, of large objects
	caveat     string
	missing    int
	hidden     int
	faults     []client.Fault
}

// newOwnRecord is one with nothing in it yet, to be filled.
func newOwnRecord() *ownRecord {
	return &ownRecord{categories: make(map[string]fhir.Category), persons: make(map[string]abaton.ActorID),
		names: make(map[string][]abaton.RecordName), sizes: make(map[string]int)}
}

// record opens all of the device's own record.
func (d *device) record(ctx context.Context) (*ownRecord, error) {
	// Copies of what lies in the general line, and deletions of copies, are left out.
	return d.recordIn(ctx, func(c fhir.Category) bool { return c != fhir.Emergency })
}

// recordIn opens what of the own record lies in some categories.
func (d *device) recordIn(ctx context.Context, wanted func(fhir.Category) bool) (*ownRecord, error) {
	if d.Kind != actor.Patient {
		return nil, usage("%s is no patient and has no record", d.Handle)
	}
	own, err := d.Own(ctx, d.net)
	if err != nil {
		return nil, err
	}
	l, err := d.at.People().Direct(ctx, d.Person, d.net, own)
	if err != nil {
		return nil, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: d.ID, Purpose: abaton.PatientAccess}
	lines := make(map[abaton.Line]fhir.Category)
	for _, s := range own.Seeds {
		if c, _ := fhir.CategoryByID(s.Category); !wanted(c) {
			continue
		}
		if _, ok := lines[s.Line]; !ok {
			ask.Lines = append(ask.Lines, s.Line)
		}
		lines[s.Line], _ = fhir.CategoryByID(s.Category)
	}
	slices.SortFunc(ask.Lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	opened, err := reader.Chart(ctx, ask)
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	r := newOwnRecord()
	r.caveat, r.hidden, r.faults = opened.Caveat, opened.Hidden, opened.Faults
	for _, m := range opened.Missing {
		if !errors.Is(m.Err, abaton.ErrErased) {
			r.missing++
		}
	}
	return r, r.fill(opened.Records, lines)
}

func (r *ownRecord) fill(records []client.Record, lines map[abaton.Line]fhir.Category) error {
	var versions []fhir.Version
	for i := range records {
		one := &records[i]
		e := &one.Envelope
		body, ok := r.bodyOf(one)
		if !ok {
			continue
		}
		versions = append(versions, fhir.Version{Type: e.Type, ID: e.ID, VersionID: e.VersionID, Parents: e.Parents, Deleted: e.Deleted,
			LastUpdated: time.UnixMilli(int64(e.LastUpdated)).UTC(), Rank: fmt.Sprintf("%08x%x%02x", one.Hour, one.Name.Batch[:], one.Name.Index),
			Body: body})
		r.persons[e.VersionID] = e.Person
		at := e.Type + "/" + e.ID
		r.names[at] = append(r.names[at], one.Name)
		r.categories[at] = fhir.Stricter(r.categories[at], lines[one.Line])
	}
	if err := r.chart.Add(versions...); err != nil {
		return fmt.Errorf("index record: %w", err)
	}
	return nil
}

// bodyOf is the text of a resource; a large object's is without its data.
func (r *ownRecord) bodyOf(record *client.Record) ([]byte, bool) {
	e := &record.Envelope
	if e.Kind != seal.KindObject {
		return record.Content, e.Kind == seal.KindResource
	}
	o, err := seal.ParseObject(record.Content)
	if err != nil {
		return nil, false
	}
	r.sizes[e.VersionID] = int(o.Bytes)
	return fhir.BinaryStub(e.ID, o.Content, o.About), true
}

// size is the length of a version in bytes, of its content where that is apart.
func (r *ownRecord) size(v fhir.Version) int {
	if n, ok := r.sizes[v.VersionID]; ok {
		return n
	}
	return len(v.Body)
}

// current are the resources as they stand, in a stable order.
func (r *ownRecord) current() (all []fhir.Version) {
	return slices.Collect(r.chart.All())
}

// caveats says what the listing may lack.
func (e *env) caveats(r *ownRecord) {
	if r.caveat != "" {
		e.say("%s", r.caveat)
	}
	if r.missing > 0 {
		e.say("%d records could not be opened now; try again, or see the keepers' health.", r.missing)
	}
	if r.hidden > 0 {
		e.say("%d records belong to writes that are not complete yet.", r.hidden)
	}
	for _, f := range r.faults {
		if f.Keeper != 0 {
			e.say("Keeper %d gave what it did not take in (%s): that is proven. Tell its operator.", f.Keeper, f.Reason)
		}
	}
}

// listedResource is one line of a listing: no content.
type listedResource struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	Version     string `json:"version"`
	LastUpdated string `json:"lastUpdated"`
	Category    string `json:"category"`
	Bytes       int    `json:"bytes"`
}

func (e *env) listRecord(r *ownRecord, asJSON bool) error {
	list := struct {
		V         int              `json:"v"`
		Caveat    string           `json:"caveat,omitempty"`
		Resources []listedResource `json:"resources"`
	}{V: 1, Caveat: r.caveat, Resources: []listedResource{}}
	for _, v := range r.current() {
		list.Resources = append(list.Resources, listedResource{v.Type, v.ID, v.VersionID, fhir.Instant(v.LastUpdated),
			r.categories[v.Type+"/"+v.ID].String(), r.size(v)})
	}
	if asJSON {
		return e.json(list)
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESOURCE\tKEPT UNDER\tWRITTEN\tBYTES")
	for _, l := range list.Resources {
		fmt.Fprintf(t, "%s/%s\t%s\t%s\t%d\n", l.Type, l.ID, l.Category, l.LastUpdated, l.Bytes)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	e.say("%d resources.", len(list.Resources))
	return nil
}

func (e *env) showRecord(r *ownRecord, name string) error {
	kind, id, ok := strings.Cut(name, "/")
	if !ok || !fhir.IsType(kind) || !fhir.IsID(id) {
		return usage("%q is not TYPE/ID", name)
	}
	v, forked, ok := r.chart.Current(kind, id)
	if !ok || v.Deleted {
		return fmt.Errorf("%s: %w", name, abaton.ErrNotFound)
	}
	if forked {
		e.say("Two versions stand side by side; this is one of them.")
	}
	text, err := asServed(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", text)
	return err
}

// exportRecord writes each resource on a line of its own: white space between
// its members goes, all else stays as it was written.
func (e *env) exportRecord(r *ownRecord) error {
	var line bytes.Buffer
	for _, v := range r.current() {
		text, err := asServed(v)
		if err != nil {
			return err
		}
		line.Reset()
		if err := json.Compact(&line, text); err != nil {
			return fmt.Errorf("write resource: %w", err)
		}
		line.WriteByte('\n')
		if _, err := e.stdout.Write(line.Bytes()); err != nil {
			return fmt.Errorf("write resource: %w", err)
		}
	}
	return nil
}

// asServed is a resource as a FHIR client would see it.
func asServed(v fhir.Version) ([]byte, error) {
	text, err := fhir.Splice(v.Body, v.ID, v.VersionID, v.LastUpdated)
	if err != nil {
		return nil, fmt.Errorf("write resource: %w", err)
	}
	return text, nil
}
