package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// demo is a story under way.
type demo struct {
	e      *env // quiet
	dir    string
	n      *local.Network
	run    *local.Processes
	honest string // folder of the shipping binaries
	liar   string // folder of the mutant build
	dice   *dice.Dice

	office  *device // imports
	ben     *device // holds no grant at first
	patient *device // whose story it is
	bundles []*brought
	own     *brought // the patient's

	imported   int               // resources
	directory  map[string][]byte // Type/id -> what came in
	inCharts   map[string]bool   // Type/id that some chart holds
	identified map[string]string // Type?identifier=system|value -> Type/id
	chart      *client.Chart     // the patient's own, as it lies at the keepers
	grant      abaton.GrantID    // ben's
	reads      int               // readings by ben

	ledgers []ledgerSource
	hangUp  func()
	looked  int   // how often the ledgers were checked
	peak    int64 // bytes of memory of all six processes
}

// granted are the parts of the record that the patient gives ben.
var granted = []fhir.Category{fhir.General, fhir.Imaging, fhir.Emergency}

// newDemo brings up the network.
func (e *env) newDemo(ctx context.Context, dir string, seed uint64) (*demo, error) {
	honest, err := beside()
	if err != nil {
		return nil, err
	}
	d := &demo{
		e: e.quiet(filepath.Join(dir, "network")), dir: dir, honest: honest, dice: dice.New(seed),
		directory: make(map[string][]byte), identified: make(map[string]string),
		inCharts: make(map[string]bool), hangUp: func() {},
	}
	if d.liar, err = mutantFolder(honest); err != nil {
		return nil, err
	}
	d.n, d.run, err = d.e.start(ctx, local.Options{})
	if err != nil {
		return nil, err
	}
	if d.ledgers, d.hangUp, err = setSources(d.n.Set()); err != nil {
		return nil, errors.Join(err, d.run.Stop())
	}
	return d, nil
}

// mutantFolder is where the build lies that can be told to lie. A mutant
// program's own folder is that.
func mutantFolder(honest string) (string, error) {
	folder := filepath.Join(honest, "mutant")
	if filepath.Base(honest) == "mutant" {
		folder = honest
	}
	if _, err := os.Stat(filepath.Join(folder, "abaton-keeper")); err != nil {
		return "", fmt.Errorf("the drill needs a keeper that can be told to lie: make build: %w", err)
	}
	return folder, nil
}

func (d *demo) close() error {
	for _, one := range []*device{d.office, d.ben, d.patient} {
		if one != nil {
			one.hangUp()
		}
	}
	d.hangUp()
	return d.run.Stop()
}

// after looks at memory and ledgers when a step is done.
func (d *demo) after(ctx context.Context) error {
	if err := d.weigh(); err != nil {
		return err
	}
	return d.lookAtLedgers(ctx)
}

// people opens the devices of the story.
func (d *demo) people() (err error) {
	open := func(handle string) (*device, error) {
		p, err := d.n.People().Load(handle)
		if err != nil {
			return nil, err
		}
		return newDevice(d.n, p)
	}
	if d.office, err = open(officeHandle); err != nil {
		return err
	}
	if d.ben, err = open(benHandle); err != nil {
		return err
	}
	var patients []*brought
	for _, b := range d.bundles {
		if b.owner != nil {
			patients = append(patients, b)
		}
	}
	if len(patients) == 0 {
		return errors.New("no patient came with the import")
	}
	d.own = patients[d.dice.Below(len(patients))]
	d.patient, err = newDevice(d.n, d.own.owner)
	return err
}

// reader is a reader with a session of its own at the keepers, and what it
// may ask for.
func (d *demo) reader(ctx context.Context, one *device) (*client.Reader, error) {
	bundles, err := one.lendable(ctx)
	if err != nil {
		return nil, err
	}
	l, err := d.n.People().Direct(ctx, one.Person, one.net, bundles...)
	if err != nil {
		return nil, err
	}
	return one.net.NewReader(l)
}

// ask is what ben may ask of the patient under a grant; the zero grant is
// none.
func (d *demo) ask(id abaton.GrantID) client.Ask {
	return client.Ask{Patient: d.patient.ID, Grant: id, Purpose: abaton.Treatment, Lines: d.lines(granted)}
}

// lines are the patient's lines of these categories, in order.
func (d *demo) lines(categories []fhir.Category) (lines []abaton.Line) {
	for _, c := range categories {
		lines = append(lines, d.patient.Line(c.ID()))
	}
	slices.SortFunc(lines, func(a, b abaton.Line) int { return slices.Compare(a[:], b[:]) })
	return lines
}

// openOwn opens the patient's whole record with the patient's own device.
func (d *demo) openOwn(ctx context.Context) error {
	r, err := d.reader(ctx, d.patient)
	if err != nil {
		return err
	}
	defer r.Close()
	d.chart, err = r.Chart(ctx, client.Ask{Patient: d.patient.ID, Purpose: abaton.PatientAccess, Lines: d.lines(fhir.Categories())})
	if err != nil {
		return fmt.Errorf("open the patient's own record: %w", err)
	}
	if len(d.chart.Missing) > 0 || d.chart.Hidden > 0 || len(d.chart.Records) == 0 {
		return fmt.Errorf("the patient's own record: %d records, %d missing, %d hidden", len(d.chart.Records), len(d.chart.Missing), d.chart.Hidden)
	}
	return nil
}

// signIn signs somebody in at the gateway, anew, so that nothing is in its
// memory yet.
func (d *demo) signIn(ctx context.Context, one *device) (*people.Session, error) {
	one.net.Refresh(d.patient.ID)
	s, _, err := signIn(ctx, d.n, one.Person)
	return s, err
}

// rowOf is a first record that ben might ask for.
func (d *demo) rowOf() (client.Row, error) {
	lines := d.lines(granted)
	for i := range d.chart.Batches {
		b := &d.chart.Batches[i]
		if row := b.Rows(); slices.Contains(lines, b.Line) && row.Records != 0 {
			return client.Row{Batch: row.Batch, Records: row.Records & -row.Records}, nil
		}
	}
	return client.Row{}, errors.New("the patient's record has nothing to ask for")
}
