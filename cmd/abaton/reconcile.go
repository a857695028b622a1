package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
)

// missingShown bounds the list of what is missing; all of it is counted.
const missingShown = 1000

func newReconcileCommand(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "reconcile PATH...", Short: "Compare files with what is in Abaton, resource by resource", Args: cobra.MinimumNArgs(1),
		Long: `Compare files with what is in Abaton: every resource of the files is looked for
among what the devices of the patients and of the records office open from the
keepers, with no gateway between. Alike means: the same values with the same
number literals and unknown elements, and references that lead to what is alike;
only id, versionId, lastUpdated and the form of references may differ.

The report names places in the files, never content. Exit code 1: something of
the files is missing.`,
		Example: "  abaton reconcile --dir run/demo ~/synthea/ --json >report.json",
		RunE: func(c *cobra.Command, paths []string) error {
			n, err := e.network()
			if err != nil {
				return err
			}
			sources, err := sourcesOf(paths)
			if err != nil {
				return err
			}
			there, err := e.allPrints(c.Context(), n)
			if err != nil {
				return err
			}
			report, err := reconcile(sources, there)
			if err != nil {
				return err
			}
			return e.reconciled(report, asJSON)
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// printed is one resource on either side.
type printed struct {
	fhir.Print
	where string   // for people: the file and the place in it
	deep  [32]byte // the print with that of all it refers to
}

// prints are the resources of one side and the names they go by.
type prints struct {
	all  []*printed
	by   map[string]*printed // Type/id, fullUrl, or Type?identifier=system|value
	lost map[string]string   // place -> why it could not be read
}

func newPrints() *prints {
	return &prints{by: make(map[string]*printed), lost: make(map[string]string)}
}

// add takes in a resource under its names; one that is there under the first
// of them is the same one.
func (p *prints) add(r fhir.Resource, where string, names ...string) error {
	one, err := fhir.PrintOf(r)
	if err != nil {
		return err
	}
	it := &printed{Print: one, where: where}
	for i, name := range names {
		if known := p.by[name]; known != nil && i == 0 && known.Hash == it.Hash {
			return nil
		}
	}
	for _, name := range names {
		p.by[name] = it
	}
	for v := range r.Get("identifier").Each() {
		p.by[r.Type+"?identifier="+v.Get("system").Text()+"|"+v.Get("value").Text()] = it
	}
	p.all = append(p.all, it)
	return nil
}

// settle makes the deep prints: each reference counts as what it leads to, or,
// where that is not here, as it is written.
func (p *prints) settle() {
	for _, it := range p.all {
		h := sha256.New()
		h.Write(it.Hash[:])
		for _, ref := range it.Refs {
			if to := p.target(ref); to != nil {
				h.Write(to.Hash[:])
			} else {
				sum := sha256.Sum256([]byte(ref))
				h.Write(sum[:])
			}
		}
		h.Sum(it.deep[:0])
	}
}

func (p *prints) target(text string) *printed {
	if it := p.by[text]; it != nil {
		return it
	}
	ref, ok := fhir.ParseRef(text)
	if !ok {
		return nil
	}
	if query, found := strings.CutPrefix(ref.Query, "identifier="); found {
		return p.by[ref.Type+"?identifier="+strings.ReplaceAll(query, "%7C", "|")]
	}
	return p.by[ref.Type+"/"+ref.ID]
}

// read takes in the resources of a file.
func (p *prints) read(s source) error {
	if s.lined() {
		return s.lines(func(number int, line []byte) error {
			where := s.name + ":" + strconv.Itoa(number)
			r, err := fhir.ParseResource(slices.Clone(line))
			if err == nil {
				err = p.add(r, where, nameIn(r, where))
			}
			if err != nil {
				p.lost[where] = reasonOf(err)
			}
			return nil
		})
	}
	text, err := s.read()
	if err == nil {
		err = p.readWhole(s.name, text)
	}
	if err != nil {
		p.lost[s.name] = reasonOf(err)
	}
	return nil
}

// nameIn is what others call a resource by: its id, else its place.
func nameIn(r fhir.Resource, where string) string {
	if r.ID() == "" {
		return where
	}
	return r.Type + "/" + r.ID()
}

func (p *prints) readWhole(name string, text []byte) error {
	if bundleKind(text) == "" {
		r, err := fhir.ParseResource(text)
		if err != nil {
			return err
		}
		return p.add(r, name, nameIn(r, name))
	}
	b, err := fhir.ParseBundle(text)
	if err != nil {
		return err
	}
	for i := range b.Entries {
		e := &b.Entries[i]
		if e.Resource.Type == "" || e.Method == "DELETE" {
			continue
		}
		where := name + ": entry " + strconv.Itoa(i)
		names := []string{nameIn(e.Resource, where)}
		if e.FullURL != "" {
			names = []string{e.FullURL}
			if e.Resource.ID() != "" {
				names = append(names, nameIn(e.Resource, where))
			}
		}
		if err := p.add(e.Resource, where, names...); err != nil {
			p.lost[where] = reasonOf(err)
		}
	}
	return nil
}

// reconciliation is reconcile --json.
type reconciliation struct {
	V         int            `json:"v"`
	Alike     bool           `json:"alike"` // nothing of the files is missing
	Files     int            `json:"files"`
	Resources int            `json:"resources"` // of the files, each once
	Found     int            `json:"found"`
	Missing   int            `json:"missing"`
	Extra     int            `json:"extra"` // in Abaton and not in these files
	ByType    []typeCount    `json:"byType"`
	Places    []missingPlace `json:"missingPlaces,omitempty"`
}

type typeCount struct {
	Type    string `json:"type"`
	Source  int    `json:"source"`
	Found   int    `json:"found"`
	Missing int    `json:"missing"`
	Extra   int    `json:"extra"`
}

type missingPlace struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// reconcile compares the files with what is there.
func reconcile(sources []source, there *prints) (*reconciliation, error) {
	from := newPrints()
	for _, s := range sources {
		if err := from.read(s); err != nil {
			return nil, err
		}
	}
	from.settle()
	there.settle()
	left, shallow := make(map[[32]byte]int), make(map[[32]byte]bool)
	counts := make(map[string]*typeCount)
	count := func(kind string) *typeCount {
		if counts[kind] == nil {
			counts[kind] = &typeCount{Type: kind}
		}
		return counts[kind]
	}
	for _, it := range there.all {
		left[it.deep]++
		shallow[it.Hash] = true
		count(it.Type).Extra++
	}
	out := &reconciliation{V: 1, Files: len(sources), Resources: len(from.all) + len(from.lost)}
	miss := func(where, why string) {
		if out.Missing++; len(out.Places) < missingShown {
			out.Places = append(out.Places, missingPlace{where, why})
		}
	}
	for _, it := range from.all {
		c := count(it.Type)
		c.Source++
		switch {
		case left[it.deep] > 0:
			left[it.deep]--
			c.Found++
			c.Extra--
			out.Found++
			continue
		case shallow[it.Hash]:
			miss(it.where, "its like is there, fewer of them or with other references")
		default:
			miss(it.where, "nothing like it is there")
		}
		c.Missing++
	}
	for _, where := range slices.Sorted(maps.Keys(from.lost)) {
		miss(where, from.lost[where])
	}
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		out.ByType = append(out.ByType, *counts[kind])
		out.Extra += counts[kind].Extra
	}
	out.Alike = out.Missing == 0
	return out, nil
}

// allPrints opens everybody's record and the directory, from the keepers.
func (e *env) allPrints(ctx context.Context, n *local.Network) (*prints, error) {
	patients, err := n.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	there := newPrints()
	for _, p := range patients {
		d, err := newDevice(n, p)
		if err != nil {
			return nil, err
		}
		r, err := d.record(ctx)
		d.hangUp()
		if err != nil {
			return nil, err
		}
		if err := e.addPrints(there, r, p.Handle); err != nil {
			return nil, err
		}
	}
	return there, e.directoryPrints(ctx, n, there)
}

// addPrints takes in a record; a part that could not be opened is said, for it
// may be what seems to be missing.
func (e *env) addPrints(into *prints, r *ownRecord, whose string) error {
	if r.missing > 0 || r.caveat != "" {
		e.say("%s: %d records could not be opened now. %s", whose, r.missing, r.caveat)
	}
	for _, v := range r.current() {
		resource, err := fhir.ParseResource(v.Body)
		if err == nil {
			err = into.add(resource, "", v.Type+"/"+v.ID)
		}
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
	}
	return nil
}

// directoryPrints opens the organisation's directory as the records office.
func (e *env) directoryPrints(ctx context.Context, n *local.Network, into *prints) error {
	org, err := n.Organisation()
	if err != nil {
		return err
	}
	office, err := n.People().Load(officeHandle)
	if err != nil {
		return err
	}
	d, err := newDevice(n, office)
	if err != nil {
		return err
	}
	defer d.hangUp()
	bundles, err := d.HeldOf(ctx, d.net, org.ID)
	if err != nil {
		return err
	}
	l, err := n.People().Direct(ctx, office, d.net, bundles...)
	if err != nil {
		return err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return err
	}
	defer reader.Close()
	for _, b := range bundles {
		ask := client.Ask{Patient: org.ID, Grant: b.Grant, Purpose: abaton.Operations}
		for _, s := range b.Seeds {
			if !slices.Contains(ask.Lines, s.Line) {
				ask.Lines = append(ask.Lines, s.Line)
			}
		}
		opened, err := reader.Chart(ctx, ask)
		if err != nil {
			return fmt.Errorf("open directory: %w", err)
		}
		r := newOwnRecord()
		r.caveat, r.missing = opened.Caveat, len(opened.Missing)
		if err := r.fill(opened.Records, nil); err != nil {
			return err
		}
		if err := e.addPrints(into, r, "directory"); err != nil {
			return err
		}
	}
	return nil
}

// reconciled prints a report.
func (e *env) reconciled(r *reconciliation, asJSON bool) error {
	if asJSON {
		if err := e.json(r); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "TYPE\tSOURCE\tFOUND\tMISSING\tEXTRA")
		for _, c := range r.ByType {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\n", c.Type, c.Source, c.Found, c.Missing, c.Extra)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, m := range r.Places {
		e.say("missing: %s: %s", m.Where, m.Why)
	}
	e.say("%d of %d resources are there, %d missing; %d more are there that these files do not have.", r.Found, r.Resources, r.Missing, r.Extra)
	if !r.Alike {
		return errFailed
	}
	return nil
}
