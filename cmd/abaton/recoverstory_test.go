package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// storyWait is how long recoveries wait in the story's network.
const storyWait = 3 * time.Second

// town is five real keepers and a gateway, with a patient and three others who
// are her helpers.
type town struct {
	t      *testing.T
	run    *local.Processes
	mutant string
	ana    *people.Person
}

func newStoryTown(t *testing.T) *town {
	t.Helper()
	mutant := filepath.Join(t.TempDir(), "mutant")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", "mutant", "-o", mutant+string(filepath.Separator), "github.com/abaton-health/abaton/cmd/abaton-keeper")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the mutant: %v\n%s", err, out)
	}
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built, RecoveryWait: storyWait})
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, mutant: mutant}
	if w.run, err = n.Start(t.Context(), built); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.run.Stop(); err != nil {
			t.Error(err)
		}
	})
	org, err := n.Organisation()
	if err != nil {
		t.Fatal(err)
	}
	c, closeAll, err := n.Client(org.Manage)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	var all []*people.Person
	for _, handle := range []string{"ana", "bo", "cas", "dee", "eva"} {
		p, err := n.People().NewPatient(handle, strings.ToUpper(handle[:1])+handle[1:], nil, org)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := people.Introduce(t.Context(), c, all...); err != nil {
		t.Fatal(err)
	}
	w.ana = all[0]
	return w
}

// abaton runs the command on the town's network.
func (w *town) abaton(stdin string, args ...string) (stdout, stderr string, code int) {
	w.t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(w.t.Context(), readyMax)
	defer cancel()
	code = run(ctx, append([]string{"--dir", w.run.Dir()}, args...), strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

func (w *town) must(stdin string, args ...string) string {
	w.t.Helper()
	out, errs, code := w.abaton(stdin, args...)
	if code != exitOK {
		w.t.Fatalf("abaton %s: exit %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// fails runs a command that must not succeed and say this.
func (w *town) fails(says, stdin string, args ...string) {
	w.t.Helper()
	_, errs, code := w.abaton(stdin, args...)
	if code == exitOK || !strings.Contains(errs, says) {
		w.t.Fatalf("abaton %s: exit %d, %q; want it to fail and say %q", strings.Join(args, " "), code, errs, says)
	}
}

func (w *town) into(v any, args ...string) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.must("", args...)), v); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) status() (s recoveryStatus) {
	w.t.Helper()
	w.into(&s, "recover", "status", "ana", "--json")
	return s
}

// loses takes every device of ana's away; what is on paper stays.
func (w *town) loses() *people.Person {
	w.t.Helper()
	old, err := w.run.People().Load("ana")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(w.run.People().Dir("ana"), "keys")); err != nil {
		w.t.Fatal(err)
	}
	return old
}

// comesBack finishes a recovery as soon as the keepers let her.
func (w *town) comesBack() (f finishedReturn) {
	w.t.Helper()
	deadline := time.Now().Add(readyMax)
	for {
		out, errs, code := w.abaton("", "recover", "finish", "ana", "--json")
		if code == exitOK {
			if err := json.Unmarshal([]byte(out), &f); err != nil {
				w.t.Fatal(err)
			}
			return f
		}
		if early := strings.Contains(errs, "too early") || strings.Contains(errs, abaton.ErrPending.Error()); !early || time.Now().After(deadline) {
			w.t.Fatalf("finish: %s", errs)
		}
	}
}

// whole checks that the person here has the root and box she had before, a new
// passkey, and that the old one opens nothing.
func (w *town) whole(old *people.Person) {
	w.t.Helper()
	p, err := w.run.People().Load("ana")
	if err != nil {
		w.t.Fatal(err)
	}
	line := abaton.Category{1}
	if p.Root.Line(line) != old.Root.Line(line) || !bytes.Equal(p.Public.Bytes(), old.Public.Bytes()) || p.Passkey.Credential() == old.Passkey.Credential() {
		w.t.Error("back in: got another root, another box or the same passkey")
	}
	w.must("", "record", "list", "--as", "ana")
	c, closeAll, err := w.run.Client(p.Manage)
	if err != nil {
		w.t.Fatal(err)
	}
	defer closeAll()
	st, err := c.Log(w.t.Context(), p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(st.LiveCredentials()) != 1 || len(st.LiveKeys()) != 1 || st.CredentialClass(old.Passkey.Credential()) != 0 {
		w.t.Error("old devices: got one live, want all cut")
	}
	stolen := *old
	if _, err := c.Append(w.t.Context(), stolen.Hand(), &actor.Bar{Actor: abaton.ActorID{1}}); err == nil {
		w.t.Error("the lost device still speaks for her")
	}
}

// TestLosingEveryDevice is H16: each way back in, and each way it must not go.
func TestLosingEveryDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole network; run without -short")
	}
	w := newStoryTown(t)
	if s := w.status(); !s.Enough || strings.Join(s.Ways, " ") != "device kit" || s.Wait != int64(storyWait/time.Second) {
		t.Fatalf("status at first: got %+v, want a device and a kit", s)
	}
	w.fails("not words 3 and 6", "zebra zebra\n", "recover", "kit", "ana")
	var kit madeKit
	w.into(&kit, "recover", "kit", "ana", "--json", "--language", "nl")
	w.must("", "recover", "helpers", "ana", "bo", "cas", "dee")
	if s := w.status(); strings.Join(s.Ways, " ") != "device kit helpers" {
		t.Fatalf("status with helpers: got %v", s.Ways)
	}
	t.Run("kit", func(t *testing.T) { w.in(t).byKit(kit) })
	t.Run("helpers", func(t *testing.T) { w.in(t).byHelpers() })
	t.Run("veto", func(t *testing.T) { w.in(t).vetoed() })
	t.Run("lying keeper", func(t *testing.T) { w.in(t).pastALiar() })
	t.Run("two keepers down", func(t *testing.T) { w.in(t).withTwoDown() })
}

func (w *town) in(t *testing.T) *town {
	again := *w
	again.t = t
	return &again
}

func (w *town) paper(words []string) string {
	w.t.Helper()
	file := filepath.Join(w.t.TempDir(), "kit.txt")
	if err := os.WriteFile(file, []byte(strings.Join(words, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return file
}

func (w *town) byKit(kit madeKit) {
	w.fails("device is here", "", "recover", "start", "ana", "--kit", w.paper(kit.Words))
	old := w.loses()
	w.fails("not a kit of this record", "", "recover", "start", "ana", "--kit", w.paper(escrow.NewCode().Words(escrow.English)))
	w.fails("not the words of a kit", "", "recover", "start", "ana", "--kit", w.paper(kit.Words[:11]))
	w.fails("not a kit of this record", "", "recover", "start", "ana", "--kit", w.run.People().KitFile("bo"))
	w.fails("not begun", "", "recover", "finish", "ana")
	var s startedReturn
	w.into(&s, "recover", "start", "ana", "--json", "--kit", w.paper(kit.Words))
	if s.At < 4 {
		w.t.Errorf("started: got %d keepers, want at least four", s.At)
	}
	w.fails("too early", "", "recover", "finish", "ana")
	if got := w.status().Recoveries; len(got) != 1 || got[0].Done || got[0].Stopped {
		w.t.Errorf("status while it waits: got %+v, want one under way", got)
	}
	f := w.comesBack()
	if f.Cut != 2 || len(f.Words) != escrow.CodeWords || len(f.Liars) != 0 {
		w.t.Errorf("finished: got %d cut, %d words, %d liars; want 2, 12, 0", f.Cut, len(f.Words), len(f.Liars))
	}
	w.whole(old)
	w.loses()
	w.fails("not a kit of this record", "", "recover", "start", "ana", "--kit", w.paper(kit.Words)) // the used one has ended
	w.must("", "recover", "start", "ana", "--kit", w.paper(f.Words))
	w.comesBack()
}

func (w *town) askHelpers() startedReturn {
	w.t.Helper()
	var s startedReturn
	w.into(&s, "recover", "start", "ana", "--helpers", "--json")
	return s
}

func (w *town) byHelpers() {
	old := w.loses()
	s := w.askHelpers()
	heard := strings.Join(s.Words, " ")
	w.fails("not the same on both screens", "", "recover", "help", "ana", "--as", "bo", "--heard", "heron heron heron")
	w.fails("", "", "recover", "help", "ana", "--as", "eva", "--heard", heard) // no helper
	w.must("", "recover", "help", "ana", "--as", "bo", "--heard", heard)
	w.fails("", "", "recover", "finish", "ana") // one helper alone
	w.fails("", "", "recover", "help", "ana", "--as", "bo", "--heard", heard)
	if got := len(w.status().Recoveries); got != 2 { // the two before
		w.t.Errorf("one helper: the keepers know of %d recoveries, want the 2 before", got)
	}
	w.must("", "recover", "help", "ana", "--as", "dee", "--heard", heard)
	if f := w.comesBack(); len(f.Trustees) != 0 || f.Cut != 2 {
		w.t.Errorf("finished: got %+v", f)
	}
	w.whole(old)
}

// vetoed: somebody who found the kit begins while her phone is alive.
func (w *town) vetoed() {
	var kit madeKit
	w.into(&kit, "recover", "kit", "ana", "--json")
	keys := filepath.Join(w.run.People().Dir("ana"), "keys")
	phone, err := os.ReadFile(keys)
	if err != nil {
		w.t.Fatal(err)
	}
	w.loses() // the thief's own device has none of hers
	w.must("", "recover", "start", "ana", "--kit", w.paper(kit.Words))
	if err := os.WriteFile(keys, phone, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.must("", "recover", "veto", "ana")
	w.fails("stopped this", "", "recover", "finish", "ana")
	for begun := time.Now(); time.Since(begun) < storyWait; { // also when the wait is over
		w.fails("stopped this", "", "recover", "finish", "ana")
	}
	w.fails("stopped this", "", "recover", "finish", "ana")
	if err := os.Remove(filepath.Join(w.run.People().Dir("ana"), "return")); err != nil {
		w.t.Fatal(err)
	}
	w.must("", "record", "list", "--as", "ana")
}

// pastALiar: a keeper that gives a false share is named, and the others suffice.
func (w *town) pastALiar() {
	const liar = abaton.KeeperIndex(2)
	kit := w.freshKit()
	old := w.loses()
	w.must("", "recover", "start", "ana", "--kit", w.paper(kit.Words))
	if err := w.run.StopKeeper(liar); err != nil {
		w.t.Fatal(err)
	}
	if err := w.run.StartKeeper(w.t.Context(), liar, local.Build{Folder: w.mutant, Flags: []string{"-lie", "share"}}); err != nil {
		w.t.Fatal(err)
	}
	if f := w.comesBack(); len(f.Liars) != 1 || f.Liars[0] != int(liar) {
		w.t.Errorf("finished: got liars %v, want keeper %d named", f.Liars, liar)
	}
	w.whole(old)
	if err := w.run.StopKeeper(liar); err != nil {
		w.t.Fatal(err)
	}
	if err := w.run.StartKeeper(w.t.Context(), liar, local.Build{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) freshKit() (kit madeKit) {
	w.t.Helper()
	w.into(&kit, "recover", "kit", "ana", "--json")
	return kit
}

// withTwoDown: with three keepers nobody comes back in, for that takes four;
// the wait runs meanwhile, and the fourth is enough.
func (w *town) withTwoDown() {
	kit := w.freshKit()
	old := w.loses()
	w.must("", "recover", "start", "ana", "--kit", w.paper(kit.Words))
	for _, x := range []abaton.KeeperIndex{4, 5} {
		if err := w.run.KillKeeper(x); err != nil {
			w.t.Fatal(err)
		}
	}
	for begun := time.Now(); time.Since(begun) < storyWait; {
		w.must("", "recover", "status", "ana")
	}
	w.fails("", "", "recover", "finish", "ana")
	if _, err := w.run.People().Load("ana"); !errors.Is(err, people.ErrNobody) {
		w.t.Error("three keepers let her in, want four needed")
	}
	if err := w.run.StartKeeper(w.t.Context(), 4, local.Build{}); err != nil {
		w.t.Fatal(err)
	}
	w.comesBack()
	w.whole(old)
	if err := w.run.StartKeeper(w.t.Context(), 5, local.Build{}); err != nil {
		w.t.Fatal(err)
	}
}
