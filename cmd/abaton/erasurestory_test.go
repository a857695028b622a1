package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/thief"
)

// cli runs the command on the network.
func (l *life) cli(args ...string) (stdout, stderr string, code int) {
	l.t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(l.t.Context(), readyMax)
	defer cancel()
	code = run(ctx, append([]string{"--dir", l.n.Dir()}, args...), strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

func (l *life) does(args ...string) string {
	l.t.Helper()
	out, errs, code := l.cli(args...)
	if code != exitOK {
		l.t.Fatalf("abaton %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return strings.TrimSpace(out)
}

// fails runs a command that must not succeed and say this.
func (l *life) fails(says string, args ...string) {
	l.t.Helper()
	_, errs, code := l.cli(args...)
	if code == exitOK || !strings.Contains(errs, says) {
		l.t.Fatalf("abaton %s: exit %d, %q; want it to fail and say %q", strings.Join(args, " "), code, errs, says)
	}
}

// recordsOf are the places of a patient's resources, as the own device knows them.
func (l *life) recordsOf(who string) map[string][]abaton.RecordName {
	l.t.Helper()
	p, err := l.n.People().Find(who)
	l.check(err, "person")
	d, err := newDevice(l.n, p)
	l.check(err, "device")
	defer d.hangUp()
	r, err := d.record(l.t.Context())
	l.check(err, "record")
	return r.names
}

// steals stops keepers, copies their folders as a thief does, lets meanwhile
// run, and starts them again.
func (l *life) steals(meanwhile func(), at ...abaton.KeeperIndex) (stolen []*thief.Loot) {
	l.t.Helper()
	for _, x := range at {
		l.check(l.run.StopKeeper(x), "stop")
	}
	for _, x := range at {
		loot, err := thief.Steal(l.t.Context(), filepath.Join(l.t.TempDir(), "loot"), l.n.KeeperDir(x))
		l.check(err, "steal")
		stolen = append(stolen, loot)
	}
	meanwhile()
	for _, x := range at {
		l.check(l.run.LaunchKeeper(x, local.Build{}), "start")
	}
	for _, x := range at {
		l.check(l.run.AwaitKeeper(l.t.Context(), x), "start")
	}
	return stolen
}

func holdsAny(loot *thief.Loot, names []abaton.RecordName) bool {
	return slices.ContainsFunc(names, func(n abaton.RecordName) bool {
		fragment, share := loot.Holds(n)
		return fragment || share
	})
}

// TestErasure (H15) is told on five real keepers: a patient asks, the clinic
// refuses once with a dated reason and allows once, and what was erased is in no
// file of any keeper, also not of one that comes back from yesterday's disk.
func TestErasure(t *testing.T) {
	if testing.Short() {
		t.Skip("runs six processes")
	}
	l := newLife(t)
	l.brings(0, 3)
	who := "patient-085e81c0"
	l.does("grant", "give", "--as", who, "--to", "dr-anna", "--read", "general", "--for", "2h")
	l.does("login", "--as", who)
	l.does("login", "--as", "dr-anna")
	records := l.recordsOf(who)
	var of []string
	for name := range records {
		if strings.HasPrefix(name, "Observation/") {
			of = append(of, name)
		}
	}
	slices.Sort(of)
	kept, gone := of[0], of[1]

	// She asks for one. Nothing is erased before the answer, and after a refusal
	// nothing at all: it stands in her record with its date and reason.
	task := l.does("erasure", "ask", kept, "--as", who, "--why", "I do not want it there")
	l.fails("has not answered yet", "erasure", "carry-out", task, "--as", who)
	l.does("erasure", "answer", task, "--as", "dr-anna", "--refuse", "kept for twenty years by law")
	l.fails("refused at 20", "erasure", "carry-out", task, "--as", who)
	l.fails("answered already", "erasure", "answer", task, "--as", "dr-anna", "--allow")
	if list := l.does("erasure", "list", "--as", who); !strings.Contains(list, "rejected") || !strings.Contains(list, "kept for twenty years by law") ||
		!strings.Contains(list, "dr-anna") {
		t.Errorf("list: got no refusal with its reason and who said so")
	}

	// Her own word is no answer of the clinic's.
	task = l.does("erasure", "ask", gone, "--as", who)
	l.does("erasure", "answer", task, "--as", who, "--allow")
	l.fails("has not answered yet", "erasure", "carry-out", task, "--as", who)
	task = l.does("erasure", "ask", gone, "--as", who)
	l.does("erasure", "answer", task, "--as", "dr-anna", "--allow")

	// Before: all five hold it. A thief keeps the pieces, and an operator a backup.
	names := records[gone]
	var pieces []thief.Fact
	yesterday := filepath.Join(t.TempDir(), "copy")
	for i, loot := range l.steals(func() {
		l.check(local.CopyFolder(yesterday, l.n.KeeperDir(3)), "copy")
	}, 1, 2, 3, 4, 5) {
		if !holdsAny(loot, names) {
			t.Fatalf("keeper %d does not hold the record before", i+1)
		}
		pieces = append(pieces, loot.Pieces(names...)...)
	}
	if len(pieces) < 10 {
		t.Fatalf("pieces before: got %d, want a fragment and a share of five", len(pieces))
	}

	var done struct{ Records, At int }
	l.check(json.Unmarshal([]byte(l.does("erasure", "carry-out", task, "--as", who, "--json")), &done), "answer")
	if done.At < 4 || done.Records < len(names) {
		t.Fatalf("erased: got %+v, want %d records and more in force at 4 keepers", done, len(names))
	}
	l.erasedAt(names, pieces, 1, 2, 3, 4, 5)
	after := l.recordsOf(who)
	if len(after[gone]) != 0 || len(after[kept]) == 0 {
		t.Errorf("after: got %d versions of what was erased, %d of what was kept", len(after[gone]), len(after[kept]))
	}
	for name := range records {
		if name != gone && len(after[name]) == 0 {
			t.Errorf("another record is gone too")
		}
	}
	l.fails("not found", "record", "show", gone, "--as", who)

	// The backup comes back: quarantined, then recovered, and it has forgotten.
	l.check(l.run.KillKeeper(3), "kill")
	l.check(os.RemoveAll(l.n.KeeperDir(3)), "lose")
	l.check(local.CopyFolder(l.n.KeeperDir(3), yesterday), "restore")
	l.check(l.run.LaunchKeeper(3, local.Build{}), "start")
	l.until(3, "quarantined")
	if after := l.recordsOf(who); len(after[gone]) != 0 {
		t.Error("with a backup restored: the record reads again")
	}
	l.check(l.run.RecoverKeeper(t.Context(), 3), "recover")
	if _, err := l.run.RepairKeeper(t.Context(), 3); err != nil {
		t.Fatalf("repair: %v", err)
	}
	l.erasedAt(names, pieces, 3)
	if after := l.recordsOf(who); len(after[gone]) != 0 {
		t.Error("after the recovery: the record reads again")
	}
	if list := l.does("access", "list", "--as", who); !strings.Contains(list, " erase ") {
		t.Error("the ledgers do not tell of the erasure")
	}
}

// erasedAt waits until keepers hold nothing of the records, then lets the thief
// look for what each keeper had of them, in every file of every one.
func (l *life) erasedAt(names []abaton.RecordName, pieces []thief.Fact, at ...abaton.KeeperIndex) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), readyMax)
	defer cancel()
	still := func(stolen []*thief.Loot) bool {
		return slices.ContainsFunc(stolen, func(loot *thief.Loot) bool { return holdsAny(loot, names) })
	}
	stolen := l.steals(func() {}, at...)
	for still(stolen) {
		if ctx.Err() != nil {
			l.t.Fatal("a keeper still holds what was erased")
		}
		stolen = l.steals(func() {}, at...)
	}
	report, err := thief.Open(l.t.Context(), pieces, stolen...)
	l.check(err, "open")
	if report.Found > 0 {
		l.t.Errorf("after the erasure: %s", report.Readable())
	}
	if report.Files == 0 || report.Values == 0 || report.Folders != len(at) {
		l.t.Fatal("the thief searched nothing")
	}
}
