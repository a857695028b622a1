package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/testdata/patients"
)

// newArchive is a running network with a second organisation, which guards what
// clinics must keep, and its archivist.
func newArchive(t *testing.T) *life {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	n, err := local.Make(t.Context(), dir, local.Options{Binaries: built})
	if err != nil {
		t.Fatal(err)
	}
	archive, err := n.People().NewOrganisation("archive", "Archive", people.Gateway{Writer: key.NewSigning().ID(), Box: key.NewBox().Public()})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Admit(archive.ID); err != nil {
		t.Fatal(err)
	}
	run, err := n.Start(t.Context(), built)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Logf("stop: %v", err)
		}
	})
	e := &env{stdout: io.Discard, stderr: io.Discard, dir: dir}
	l := &life{demo: &demo{e: e, n: run.Network, run: run, hangUp: func() {}}, t: t}
	d, err := newDevice(l.n, archive)
	l.check(err, "device")
	defer d.hangUp()
	l.check(people.Introduce(t.Context(), d.net, archive), "introduce")
	keeper, err := l.n.People().NewClinician("archivist", "Archivist", archive)
	l.check(err, "archivist")
	l.check(l.n.People().Enlist(t.Context(), d.net, archive, nil, keeper), "enlist")
	team, nonce := archive.NewTeam()
	_, err = archive.SetTeam(t.Context(), d.net, archive.Hand(), &actor.Team{Team: team.ID, Nonce: nonce}, keeper.ID)
	l.check(err, "team")
	l.check(l.n.People().NameTeam(archive, "keepsake", team), "team")
	return l
}

// opened are the versions of a duty copy, by name, as open prints them.
func (l *life) opened(chart, part string) map[string][]dutyVersion {
	l.t.Helper()
	all := make(map[string][]dutyVersion)
	for line := range bytes.Lines([]byte(l.does("duty-copy", "open", chart, "--as", "archivist", "--part", part))) {
		var v dutyVersion
		l.check(json.Unmarshal(line, &v), "line")
		all[v.Name] = append(all[v.Name], v)
	}
	return all
}

// currentOf is the text of a patient's resources as they stand.
func (l *life) currentOf(who string) map[string]string {
	l.t.Helper()
	p, err := l.n.People().Find(who)
	l.check(err, "person")
	d, err := newDevice(l.n, p)
	l.check(err, "device")
	defer d.hangUp()
	r, err := d.record(l.t.Context())
	l.check(err, "record")
	out := make(map[string]string)
	for _, v := range r.current() {
		out[v.Type+"/"+v.ID] = string(v.Body)
	}
	return out
}

// spites erases a patient's whole record with the patient's own device, which
// nobody can refuse.
func (l *life) spites(who string) {
	l.t.Helper()
	var rows []client.Row
	for _, names := range l.recordsOf(who) {
		for _, row := range rowsOf(names) {
			row.Records |= 1
			at := slices.IndexFunc(rows, func(r client.Row) bool { return r.Batch == row.Batch })
			if at < 0 {
				rows = append(rows, row)
				continue
			}
			rows[at].Records |= row.Records
		}
	}
	p, err := l.n.People().Find(who)
	l.check(err, "person")
	d, err := newDevice(l.n, p)
	l.check(err, "device")
	defer d.hangUp()
	if done, err := d.net.Erase(l.t.Context(), d.Hand(), rows...); err != nil || !done.InForce {
		l.t.Fatalf("erase: %v", err)
	}
}

// TestDutyCopy (H14, H15) is told on five real keepers and a real gateway: what
// the clinic files is kept where the patient cannot reach it; the patient erases
// everything and loses the keys; two people of two organisations open the copy
// together, to the byte, and the patient is shown that; and what the law no
// longer has them keep, the two erase.
func TestDutyCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("runs six processes")
	}
	l := newArchive(t)
	l.does("staff", "add", "dr-ben", "--roles", "physician")
	l.does("team", "set", "records", "--members", "dr-ben")
	samples := t.TempDir()
	l.check(os.CopyFS(samples, patients.Files), "samples")
	names := []string{"0-hospitals.json.gz", "0-practitioners.json.gz", "6c8f3e83-c351-ed33-c38d-6be101c275d2.json.gz"}
	importing := []string{"import"}
	for _, name := range names {
		importing = append(importing, filepath.Join(samples, name))
	}
	guards := []string{"--team", "records", "--trustee", "archive", "--trustee-team", "keepsake"}
	l.fails("has no team", append(importing, "--team", "records", "--trustee", "archive", "--trustee-team", "other")...)
	l.does(append(importing, guards...)...)
	l.check(l.settled(t.Context()), "settle")
	who := "patient-6c8f3e83"
	chart := l.does(append([]string{"duty-copy", "begin", who}, guards...)...) // says which there is
	if list := l.does("duty-copy", "list"); !strings.Contains(list, chart) || strings.Count(list, who) != 1 {
		t.Fatalf("list: got %q, want the one chart of the patient", list)
	}

	// Dr Anna changes a record, which is filed with what was there before.
	l.does("grant", "give", "--as", who, "--to", "dr-anna", "--read", "general", "--for", "2h")
	l.does("login", "--as", "dr-anna")
	before := l.currentOf(who)
	changed := l.changes("dr-anna", before)

	// Nobody opens it alone: not who has nothing to do with it, not the clinic's
	// guardian, not with a part that was meant for somebody else.
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		l.check(os.WriteFile(path, []byte(text), 0o600), "part")
		return path
	}
	l.fails("in no team that guards", "duty-copy", "part", chart, "--as", "dr-anna", "--to", "archivist")
	l.fails("of the same organisation", "duty-copy", "part", chart, "--as", "dr-ben", "--to", "dr-anna")
	part := file("part", l.does("duty-copy", "part", chart, "--as", "dr-ben", "--to", "archivist"))
	l.fails("does not open here", "duty-copy", "open", chart, "--as", "dr-ben", "--part", part)
	own := file("own", l.does("duty-copy", "part", chart, "--as", "archivist", "--to", "dr-ben"))
	l.fails("does not open here", "duty-copy", "open", chart, "--as", "archivist", "--part", own)
	l.fails("no such person", "access", "list", "--as", "nobody", "--duty", chart)
	l.fails("refused: grant", "access", "list", "--as", l.another(who), "--duty", chart)

	// The patient erases everything, and loses the device with every key.
	before = l.currentOf(who)
	l.spites(who)
	if left := l.currentOf(who); len(left) != 0 {
		t.Fatalf("after the patient's erasure: %d resources are left, want none", len(left))
	}
	device := filepath.Join(l.n.People().Dir(who), "keys")
	l.check(os.Rename(device, filepath.Join(dir, "device")), "lose")

	// A complaint: the two open it together. It is what was filed, to the byte.
	all := l.opened(chart, part)
	for name, text := range before {
		versions := all[name]
		if len(versions) == 0 {
			t.Errorf("a %s is not in the duty copy", strings.Split(name, "/")[0])
		} else if newest := versions[len(versions)-1]; string(newest.Resource) != text {
			t.Errorf("a %s is not what was filed", strings.Split(name, "/")[0])
		}
	}
	if len(all) != len(before) {
		t.Errorf("duty copy: got %d resources, want the %d that were filed", len(all), len(before))
	}
	if v := all[changed]; len(v) != 2 || v[1].By != "dr-anna" {
		t.Errorf("what was changed: got %d versions, want both, the second by dr-anna", len(v))
	}

	// The device is found again: the keepers show the patient each of them, and for what.
	l.check(os.Rename(filepath.Join(dir, "device"), device), "find")
	told := l.does("access", "list", "--as", who, "--duty", chart, "--json")
	for _, want := range []string{`"who": "dr-ben"`, `"who": "archivist"`, `"op": "unseal"`, `"op": "release"`, `"purpose": "HLEGAL"`} {
		if !strings.Contains(told, want) {
			t.Errorf("the patient is not told: %s", want)
		}
	}

	// After twenty years, or by the lawful yes: first one resource, then all.
	l.fails("say what is to be erased", "duty-copy", "erase", chart, "--as", "archivist", "--part", part)
	l.does("duty-copy", "erase", chart, changed, "--as", "archivist", "--part", part)
	rest := l.opened(chart, part)
	if len(rest[changed]) != 0 || len(rest) != len(all)-1 {
		t.Errorf("after erasing one: got %d resources, %d versions of it; want the rest", len(rest), len(rest[changed]))
	}
	l.does("duty-copy", "erase", chart, "--all", "--as", "archivist", "--part", part)
	if rest := l.opened(chart, part); len(rest) != 0 {
		t.Errorf("after erasing all: %d resources are left", len(rest))
	}
}

// another is some other patient.
func (l *life) another(than string) string {
	l.t.Helper()
	all, err := l.n.People().All(actor.Patient)
	l.check(err, "people")
	for _, p := range all {
		if p.Handle != than {
			return p.Handle
		}
	}
	org, err := l.n.Organisation()
	l.check(err, "organisation")
	p, err := l.n.People().NewPatient("somebody", "", nil, org)
	l.check(err, "patient")
	d, err := newDevice(l.n, org)
	l.check(err, "device")
	defer d.hangUp()
	l.check(people.Introduce(l.t.Context(), d.net, p), "introduce")
	return p.Handle
}

// changes has somebody write a new version of one of the resources.
func (l *life) changes(who string, of map[string]string) (name string) {
	l.t.Helper()
	for at := range of {
		if strings.HasPrefix(at, "Observation/") && (name == "" || at < name) {
			name = at
		}
	}
	s, err := (&env{dir: l.n.Dir()}).kept(who)
	l.check(err, "session")
	_, body, etag, err := ask(l.t.Context(), s, "GET", "/"+name, nil)
	l.check(err, "read")
	body = bytes.Replace(body, []byte(`"final"`), []byte(`"amended"`), 1)
	text, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": []bundleEntry{
		{Resource: body, Request: bundleRequest{Method: "PUT", URL: name, IfMatch: etag}}}})
	l.check(err, "bundle")
	_, _, _, err = ask(l.t.Context(), s, "POST", "/", text)
	l.check(err, "write")
	return name
}
