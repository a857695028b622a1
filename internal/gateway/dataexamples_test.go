package gateway

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/session"
)

// eachFile calls f for every file of a .tar.gz.
func eachFile(t *testing.T, archive string, f func(name string, text []byte)) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, err := gunzipped(file)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(all)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		f(h.Name, text)
	}
}

// example is one file and how the gateway took it.
type example struct {
	name    string
	text    []byte
	kind    string // resourceType as a first look tells it; what is done with it is checked strictly
	id      string
	owner   string     // the id of the Patient it names, "" for none
	alone   bool       // it cannot go into a Bundle under its id
	late    bool       // it refers to resources that must be there before it
	runs    bool       // a transaction or batch, to be carried out and not to be kept
	status  int        // of its own answer
	at      string     // Type/id where it lies, "" if refused
	outcome *issueText // of a refusal
}

type issueText struct{ Diagnostics string }

func newExample(name string, text []byte) *example {
	e := &example{name: name, text: text}
	var head struct{ ResourceType, ID, Type string }
	json.Unmarshal(text, &head)
	e.kind, e.id = head.ResourceType, head.ID
	e.runs = e.kind == "Bundle" && (head.Type == "transaction" || head.Type == "batch")
	r, err := fhir.ParseResource(text)
	if e.alone = err != nil || !fhir.IsID(e.id); err != nil {
		return e
	}
	place := fhir.PlaceOf(r)
	e.late = place.Home == fhir.HomeFollow
	if e.kind == "Patient" {
		e.owner = e.id
	} else if place.Home == fhir.HomePatient && place.Patients[0].Base == "" {
		e.owner = place.Patients[0].ID
	}
	return e
}

// took notes an answer. Every refusal must be an OperationOutcome that says
// what to do, and none of them this side's fault.
func (e *example) took(status int, location string, answer []byte) error {
	e.status, e.outcome = status, nil
	if status/100 == 2 {
		if parts := strings.Split(location, "/"); len(parts) >= 4 {
			e.at = strings.Join(parts[len(parts)-4:len(parts)-2], "/")
		}
		return nil
	}
	var o struct {
		ResourceType string
		Issue        []issueText
	}
	if err := json.Unmarshal(answer, &o); err != nil || o.ResourceType != "OperationOutcome" || len(o.Issue) != 1 || o.Issue[0].Diagnostics == "" {
		return fmt.Errorf("%s: got %d %s, want an OperationOutcome", e.name, status, clip(answer))
	}
	if status >= 500 {
		return fmt.Errorf("%s: got %d %s, want it taken or refused", e.name, status, clip(answer))
	}
	e.outcome = &o.Issue[0]
	return nil
}

// examplesCheck is a set of loose resources, loaded as an import loads them:
// under their own ids, patients first, what refers to others last.
type examplesCheck struct {
	w      *world
	doctor *device
	lent   []session.Bundle
	all    []*example
	owners map[string]*device // by the Patient's id in the set
}

func newExamplesCheck(t *testing.T) *examplesCheck {
	x := &examplesCheck{w: newWorld(t), owners: make(map[string]*device)}
	var directory session.Bundle
	x.doctor, directory = x.w.clinician()
	x.lent = append(x.lent, directory)
	return x
}

// admit makes an actor for each patient whom the set holds or refers to, and
// one for each transaction, which may bring its own.
func (x *examplesCheck) admit() {
	for _, e := range x.all {
		if e.runs {
			e.owner = "of " + e.name
		}
		if (e.runs || fhir.IsID(e.owner)) && x.owners[e.owner] == nil {
			p := x.w.patient()
			x.owners[e.owner] = p
			x.lent = append(x.lent, x.w.share(p, x.doctor, grant.Read, allCategories()...))
		}
	}
}

// standIn writes a bare Patient for each whom the set only refers to, or
// whose own resource was refused, so that the others have somewhere to lie.
func (x *examplesCheck) standIn(c *caller) (count int, err error) {
	known := make(map[string]bool)
	for _, e := range x.all {
		known[e.at] = true
	}
	for id, owner := range x.owners {
		if known["Patient/"+id] || !fhir.IsID(id) {
			continue
		}
		status, _, answer, err := c.with(headerPatient, owner.id.String()).try("PUT", "/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`)
		if err != nil || status != http.StatusCreated {
			return count, fmt.Errorf("stand-in: got %d %s, %v, want 201", status, clip(answer), err)
		}
		count++
	}
	return count, nil
}

// one sends a resource alone: under its id if that can be one, else to be
// given one.
func (x *examplesCheck) one(c *caller, e *example) error {
	if owner := x.owners[e.owner]; owner != nil {
		c = c.with(headerPatient, owner.id.String())
	}
	kind := e.kind
	if kind == "" {
		kind = "Patient"
	}
	method, path := "POST", "/"+kind
	if e.runs {
		path = "/"
	} else if fhir.IsID(e.id) {
		method, path = "PUT", path+"/"+e.id
	}
	status, location, answer, err := c.try(method, path, string(e.text))
	if err != nil {
		return err
	}
	return e.took(status, location, answer)
}

// batch sends resources that have ids as one Bundle.
func (x *examplesCheck) batch(c *caller, some []*example) error {
	if owner := x.owners[some[0].owner]; owner != nil {
		c = c.with(headerPatient, owner.id.String())
	}
	var body bytes.Buffer
	body.WriteString(`{"resourceType":"Bundle","type":"batch","entry":[`)
	for i, e := range some {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"resource":%s,"request":{"method":"PUT","url":"%s/%s"}}`, e.text, e.kind, e.id)
	}
	body.WriteString(`]}`)
	status, _, answer, err := c.try("POST", "/", body.String())
	if err != nil {
		return err
	}
	var out struct {
		Entry []struct {
			Response struct {
				Status, Location string
				Outcome          json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(answer, &out); status != http.StatusOK || err != nil || len(out.Entry) != len(some) {
		return fmt.Errorf("batch with %s: got %d %s, want 200 and %d entries", some[0].name, status, clip(answer), len(some))
	}
	for i, e := range some {
		r := out.Entry[i].Response
		var code int
		fmt.Sscan(r.Status, &code)
		if err := e.took(code, "/"+r.Location, r.Outcome); err != nil {
			return err
		}
	}
	return nil
}

// load sends everything but what is to be carried out.
func (x *examplesCheck) load(c *caller) {
	t := x.w.t
	t.Helper()
	for _, e := range x.all {
		if e.kind == "Patient" {
			if err := x.one(c, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	count, err := x.standIn(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d patients, %d of them only referred to", len(x.owners), count)
	groups := make(map[string][]*example)
	var alone, late []*example
	for _, e := range x.all {
		switch {
		case e.runs, e.kind == "Patient":
		case e.alone:
			alone = append(alone, e)
		case e.late:
			late = append(late, e)
		default:
			groups[e.owner] = append(groups[e.owner], e)
		}
	}
	work := new(errgroup.Group)
	work.SetLimit(dataAtOnce)
	for _, group := range groups {
		for some := range slices.Chunk(group, 200) {
			work.Go(func() error { return x.batch(c, some) })
		}
	}
	for _, e := range alone {
		work.Go(func() error { return x.one(c, e) })
	}
	if err := work.Wait(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // they refer to each other too
		for _, e := range late {
			if e.at != "" {
				continue
			}
			if err := x.one(c, e); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// run carries out the transactions and batches of the set.
func (x *examplesCheck) run(c *caller) {
	x.w.t.Helper()
	for _, e := range x.all {
		if !e.runs {
			continue
		}
		if err := x.one(c, e); err != nil {
			x.w.t.Fatal(err)
		}
	}
}

// compare reads everything back from the keepers in another session: the
// patients' charts whole, the rest one by one.
func (x *examplesCheck) compare(c *caller) (same int) {
	t := x.w.t
	t.Helper()
	back := make(map[string][]byte)
	for id := range x.owners {
		if !fhir.IsID(id) {
			continue // of a transaction that is carried out later
		}
		chart, err := c.everything(id)
		if err != nil {
			t.Fatalf("Patient/%s: %v", id, err)
		}
		maps.Copy(back, chart)
	}
	for _, e := range x.all {
		if e.at == "" {
			continue
		}
		got := back[e.at]
		if got == nil {
			status, _, answer, err := c.try("GET", "/"+e.at, "")
			if err != nil || status != http.StatusOK {
				t.Errorf("%s: got %d %s, %v, want it back", e.name, status, clip(answer), err)
				continue
			}
			got = answer
		}
		if err := preserved(e.text, got); err != nil {
			t.Errorf("%s: %v", e.name, err)
			continue
		}
		same++
	}
	return same
}

// preserved holds what came back against what went in under invariant 10, by
// the standard library alone: number literals, unknown members and array
// order count; id, meta.versionId and meta.lastUpdated do not.
func preserved(in, out []byte) error {
	var both [2]map[string]any
	for i, text := range [][]byte{in, out} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&both[i]); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		delete(both[i], "id")
		meta, _ := both[i]["meta"].(map[string]any)
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(both[i], "meta")
		}
	}
	if !reflect.DeepEqual(both[0], both[1]) {
		return errors.New("it is not what came in")
	}
	return nil
}

// list logs the refusals by status and reason, and returns their number.
func (x *examplesCheck) list() (refused int) {
	by := make(map[string][]string)
	for _, e := range x.all {
		if e.outcome != nil {
			why := fmt.Sprintf("%d %s", e.status, e.outcome.Diagnostics)
			by[why] = append(by[why], e.name)
			refused++
		}
	}
	for _, why := range slices.Sorted(maps.Keys(by)) {
		slices.Sort(by[why])
		x.w.t.Logf("refused %d: %s: %s", len(by[why]), why, strings.Join(by[why], " "))
	}
	return refused
}

// TestDataCheckExamples loads every official example and every genomics
// example: each is either read back as it came, or refused for a listed
// reason.
func TestDataCheckExamples(t *testing.T) {
	for _, set := range []struct {
		folder, archive string
		refused         int // at most
	}{
		{"examples", "hl7.fhir.r4.examples-4.0.1.tar.gz", 70},
		{"genomics", "genomics-reporting-examples.tar.gz", 30},
	} {
		t.Run(set.folder, func(t *testing.T) {
			x := newExamplesCheck(t)
			eachFile(t, filepath.Join(needData(t, set.folder), set.archive), func(name string, text []byte) {
				if strings.HasSuffix(name, ".json") && !strings.HasSuffix(name, "package.json") {
					x.all = append(x.all, newExample(strings.TrimSuffix(filepath.Base(name), ".json"), text))
				}
			})
			x.admit()
			c := x.w.signIn(x.doctor, x.lent...)
			started := time.Now()
			x.load(c)
			loaded := time.Since(started)
			same := x.compare(x.w.signIn(x.doctor, x.lent...))
			compared := time.Since(started) - loaded
			x.run(c)
			refused := x.list()
			ran := 0
			for _, e := range x.all {
				if e.runs && e.status == http.StatusOK {
					ran++
				}
			}
			t.Logf("%d files: %d read back as they came, %d carried out, %d refused; loaded in %v, compared in %v", len(x.all),
				same, ran, refused, loaded.Round(time.Millisecond), compared.Round(time.Millisecond))
			if same+ran+refused != len(x.all) {
				t.Errorf("got %d, %d and %d, want every one of %d accounted for", same, ran, refused, len(x.all))
			}
			if refused > set.refused {
				t.Errorf("refused: got %d, want at most %d", refused, set.refused)
			}
		})
	}
}

// TestDataCheckValidator sends every file of the validator's cases, many of
// them invalid on purpose, to its type and as a Bundle: each is taken or
// refused, none is this side's fault, and everything works afterwards.
func TestDataCheckValidator(t *testing.T) {
	archive := filepath.Join(needData(t, "validator"), "fhir-test-cases-validator-json.tar.gz")
	x := newExamplesCheck(t)
	eachFile(t, archive, func(name string, text []byte) { x.all = append(x.all, newExample(name, text)) })
	x.admit()
	c := x.w.signIn(x.doctor, x.lent...)
	work := new(errgroup.Group)
	work.SetLimit(4 * dataAtOnce) // each waits to be gathered with others
	for _, e := range x.all {
		work.Go(func() error {
			status, location, answer, err := c.try("POST", "/", string(e.text))
			if err == nil {
				err = e.took(status, location, answer)
			}
			if err != nil || e.runs {
				return err
			}
			if e.kind == "" {
				e.kind = "Patient" // it is not read so far
			}
			to := c
			if owner := x.owners[e.owner]; owner != nil {
				to = c.with(headerPatient, owner.id.String())
			}
			if status, location, answer, err = to.try("POST", "/"+e.kind, string(e.text)); err != nil {
				return err
			}
			return e.took(status, location, answer)
		})
	}
	if err := work.Wait(); err != nil {
		t.Error(err)
	}
	taken := 0
	for _, e := range x.all {
		if e.status/100 == 2 {
			taken++
		}
	}
	t.Logf("%d files: %d taken, %d refused", len(x.all), taken, len(x.all)-taken)
	if taken == 0 {
		t.Error("nothing was taken")
	}
	c.want(http.StatusOK, "GET", "/health", "", nil)
	c.want(http.StatusOK, "GET", "/Organization", "", nil)
	for _, k := range x.w.keepers.Keepers {
		if got := k.Mode().String(); got != "serving" {
			t.Errorf("keeper: got %s, want serving", got)
		}
	}
}
