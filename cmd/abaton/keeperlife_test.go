package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/testdata/patients"
)

// life is a network whose keepers are lost and come back.
type life struct {
	*demo
	t *testing.T
}

func newLife(t *testing.T) *life {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "net")
	n, err := local.Make(t.Context(), dir, local.Options{Binaries: built})
	if err != nil {
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
	return &life{demo: &demo{e: e, n: run.Network, run: run, hangUp: func() {}}, t: t}
}

func (l *life) check(err error, what string) {
	l.t.Helper()
	if err != nil {
		l.t.Fatalf("%s: %v", what, err)
	}
}

// brings imports some of the samples and waits until all five keepers have
// them.
func (l *life) brings(from, to int) {
	l.t.Helper()
	sources, err := sourcesIn(patients.Files)
	l.check(err, "samples")
	m, err := newImporter(l.t.Context(), l.e, l.n)
	l.check(err, "import")
	out, err := m.run(l.t.Context(), sources[from:min(to, len(sources))])
	l.check(err, "import")
	if out.Refused > 0 || out.Resources == 0 {
		l.t.Fatalf("import: got %d resources and %d refused", out.Resources, out.Refused)
	}
	l.check(l.settled(l.t.Context()), "settle")
}

// readsAll opens every patient's whole record at the keepers, with the
// patient's own device, and gives a sum of each record's bytes.
func (l *life) readsAll() map[abaton.RecordName][32]byte {
	l.t.Helper()
	all, err := l.n.People().All(0)
	l.check(err, "people")
	out := make(map[abaton.RecordName][32]byte)
	for _, p := range all {
		if p.Kind != actor.Patient || p.Source == nil {
			continue
		}
		d, err := newDevice(l.n, p)
		l.check(err, "device")
		l.patient = d
		r, err := l.reader(l.t.Context(), d)
		l.check(err, "session")
		chart, err := r.Chart(l.t.Context(), client.Ask{Patient: p.ID, Purpose: abaton.PatientAccess, Lines: l.lines(fhir.Categories())})
		l.check(err, "chart")
		r.Close()
		d.hangUp()
		if len(chart.Missing) > 0 || len(chart.Faults) > 0 {
			l.t.Fatalf("a chart: %d records, %d missing, %d faults; want all", len(chart.Records), len(chart.Missing), len(chart.Faults))
		}
		for i := range chart.Records {
			rec := &chart.Records[i]
			out[rec.Name] = sha256.Sum256(rec.Content)
		}
	}
	return out
}

func (l *life) same(what string, got, want map[abaton.RecordName][32]byte) {
	l.t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		l.t.Fatalf("%s: got %d records, want %d", what, len(got), len(want))
	}
	for name, sum := range want {
		if got[name] != sum {
			l.t.Fatalf("%s: a record reads differently", what)
		}
	}
}

// says asks a keeper's admin address.
func (l *life) says(x abaton.KeeperIndex) (said struct {
	Mode, Clock       string
	ClockAheadSeconds int
	Findings          map[string]int
}) {
	l.t.Helper()
	resp, err := http.Get(l.n.KeeperAdminURL(x) + "/status")
	if err != nil {
		return said
	}
	defer resp.Body.Close()
	l.check(json.NewDecoder(resp.Body).Decode(&said), "status")
	return said
}

// until waits for a keeper's mode or clock.
func (l *life) until(x abaton.KeeperIndex, want string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), readyMax)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if said := l.says(x); said.Mode == want || said.Clock == want {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			l.t.Fatalf("keeper %d is %+v, want %s", x, l.says(x), want)
		}
	}
}

func (l *life) repairs(x abaton.KeeperIndex) {
	l.t.Helper()
	told, err := l.run.RepairKeeper(l.t.Context(), x)
	l.check(err, fmt.Sprintf("repair of keeper %d", x))
	lines := strings.Split(strings.TrimSpace(string(told)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, " 0 missing") || strings.Contains(last, " 0 records restored") {
		l.t.Errorf("repair of keeper %d: got %q, want records restored and none missing", x, last)
	}
}

// TestKeepersLostAndBack: one keeper is rolled back to yesterday's disk and
// recovers; another loses its disk and is replaced. Both are repaired, and then
// two keepers that never lost anything go: every record reads as before.
func TestKeepersLostAndBack(t *testing.T) {
	if testing.Short() {
		t.Skip("runs six processes")
	}
	l := newLife(t)
	l.brings(0, 4)
	l.check(l.run.StopKeeper(3), "stop")
	yesterday := filepath.Join(t.TempDir(), "copy")
	l.check(local.CopyFolder(yesterday, l.n.KeeperDir(3)), "copy")
	l.check(l.run.StartKeeper(t.Context(), 3, local.Build{}), "start")
	l.brings(4, 9)
	before := l.readsAll()

	l.check(l.run.KillKeeper(3), "kill")
	l.check(os.RemoveAll(l.n.KeeperDir(3)), "lose")
	l.check(local.CopyFolder(l.n.KeeperDir(3), yesterday), "restore")
	l.check(l.run.LaunchKeeper(3, local.Build{}), "start")
	l.until(3, "quarantined")
	if l.says(3).Findings["quarantine"] == 0 {
		t.Error("the quarantine is no finding")
	}
	l.same("one keeper in quarantine", l.readsAll(), before)
	l.check(l.run.RecoverKeeper(t.Context(), 3), "recover")
	l.repairs(3)

	l.check(l.run.KillKeeper(4), "kill")
	l.check(os.RemoveAll(l.n.KeeperDir(4)), "lose")
	l.check(l.run.ReplaceKeeper(t.Context(), 4), "replace")
	l.repairs(4)

	l.check(l.run.KillKeeper(1), "kill")
	l.check(l.run.KillKeeper(2), "kill")
	l.same("with two others gone", l.readsAll(), before)
	l.check(l.run.StartKeeper(t.Context(), 1, local.Build{}), "start")
	l.check(l.run.StartKeeper(t.Context(), 2, local.Build{}), "start")
	l.histories()
}

// histories: the ledgers of the two that came back do not count for the time
// before, and the list says since when they do.
func (l *life) histories() {
	l.t.Helper()
	all, err := l.n.People().All(0)
	l.check(err, "people")
	for _, p := range all {
		if p.Kind != actor.Patient || p.Source == nil {
			continue
		}
		d, err := newDevice(l.n, p)
		l.check(err, "device")
		defer d.hangUp()
		l.patient = d
		r, err := l.reader(l.t.Context(), d)
		l.check(err, "session")
		defer r.Close()
		h, err := r.History(l.t.Context(), p.ID)
		l.check(err, "history")
		if len(h.Renewed) != 2 || h.Renewed[0].Keeper != 3 || h.Renewed[1].Keeper != 4 || h.Renewed[0].Since == 0 {
			l.t.Errorf("history: got %+v as ledgers that began later, want keepers 3 and 4", h.Renewed)
		}
		if h.Answered != 3 || len(h.Faults) != 0 {
			l.t.Errorf("history: %d ledgers count for all time, %d faults; want 3 and none", h.Answered, len(h.Faults))
		}
		return
	}
}

// TestKeeperWithAWrongClock is a real keeper of the mutant build, whose clock
// is started ahead.
func TestKeeperWithAWrongClock(t *testing.T) {
	if testing.Short() {
		t.Skip("runs six processes")
	}
	mutant := filepath.Join(t.TempDir(), "mutant")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "mutant", "-o", mutant+string(filepath.Separator),
		"github.com/abaton-health/abaton/cmd/abaton-keeper")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	l := newLife(t)
	l.brings(0, 3)
	before := l.readsAll()
	for ahead, want := range map[string]string{"90s": "doubted", "10m": "wrong", "-10m": "wrong"} {
		l.check(l.run.StopKeeper(2), "stop")
		l.check(l.run.LaunchKeeper(2, local.Build{Folder: mutant, Flags: []string{"-clock-ahead", ahead}}), "start")
		l.until(2, want)
		if said := l.says(2); said.Findings["clock"] == 0 || said.ClockAheadSeconds == 0 {
			t.Errorf("%s ahead: got %+v, want a finding and the distance", ahead, said)
		}
		l.same(ahead+" ahead", l.readsAll(), before)
	}
	l.check(l.run.StopKeeper(2), "stop")
	l.check(l.run.StartKeeper(t.Context(), 2, local.Build{}), "start")
	l.until(2, "healthy")
	metrics, err := http.Get(l.n.KeeperAdminURL(2) + "/metrics")
	l.check(err, "metrics")
	defer metrics.Body.Close()
	text, err := io.ReadAll(metrics.Body)
	l.check(err, "metrics")
	for _, line := range []string{"abaton_keeper_clock 1\n", `abaton_keeper_findings_total{reason="clock"} 3`, "abaton_keeper_records_below_five -1\n"} {
		if !bytes.Contains(text, []byte(line)) {
			t.Errorf("metrics have no %q", line)
		}
	}
}
