package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

func newVerifyCommand(e *env) *cobra.Command {
	var set string
	var asJSON bool
	c := &cobra.Command{Use: "verify FILE...", Short: "Check notices, drafts and incidents offline: every number against the ledger entries they carry", Args: cobra.MinimumNArgs(1),
		Long: `Checks a signed report, its page or its PDF, without asking anybody: its form, its signature,
each ledger entry in it against a checkpoint that its keeper signed, its numbers made
again from these entries, and each word of the page or PDF. A folder that "abaton
report list" made is made again from the answers in it. The keepers are those of --set.`,
		Example: "  abaton verify notice-act1abcdef.html --set keepers.cbor",
		RunE:    func(c *cobra.Command, args []string) error { return e.verify(c.Context(), args, set, asJSON) }}
	c.Flags().StringVar(&set, "set", "", "the keeper set's file (default: that of --dir)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// verified is verify --json, one for each file.
type verified struct {
	File         string `json:"file"`
	OK           bool   `json:"ok"`
	Why          string `json:"why,omitempty"`
	Kind         string `json:"kind,omitempty"`
	Drill        bool   `json:"drill"`
	Organisation string `json:"organisation,omitempty"`
	Entries      int    `json:"entries"`
	People       int    `json:"people"`
	Vouched      int    `json:"vouched"`
	// Severity is computed from the file's entries, for an incident or a draft.
	Severity *report.Severity `json:"severity,omitempty"`
}

func (e *env) verify(ctx context.Context, files []string, set string, asJSON bool) error {
	trust, err := e.trust(set)
	if err != nil {
		return err
	}
	var all []verified
	bad := false
	for _, file := range files {
		v, err := e.verifyOne(ctx, file, trust)
		if err != nil {
			return err
		}
		bad = bad || !v.OK
		all = append(all, v)
		if !asJSON {
			e.sayVerified(&v)
		}
	}
	if asJSON {
		if err := e.json(all); err != nil {
			return err
		}
	}
	if bad {
		return errFailed
	}
	return nil
}

func (e *env) verifyOne(ctx context.Context, file string, trust *report.Trust) (verified, error) {
	if isFolder(file) {
		return e.verifyList(ctx, file, trust), nil
	}
	v := verified{File: file}
	data, err := os.ReadFile(file)
	if err != nil {
		return v, fmt.Errorf("verify: %w", err)
	}
	s, err := report.Verify(data, trust)
	if err != nil {
		v.Why = err.Error()
		return v, nil
	}
	v.Severity = severityIn(s)
	v.OK, v.Kind, v.Drill, v.Organisation, v.Entries, v.People, v.Vouched = true, string(s.Kind), s.Drill, s.Organisation.String(), s.Entries, s.People, len(s.Vouched)
	return v, nil
}

func (e *env) sayVerified(v *verified) {
	if !v.OK {
		e.print("BAD  %s  %s\n", v.File, v.Why)
		return
	}
	drill := ""
	if v.Drill {
		drill = ", a DRILL"
	}
	e.print("ok   %s  %s%s of %s: %d ledger entries hold; %d keepers show who asked\n", v.File, v.Kind, drill, short(v.Organisation), v.Entries, v.Vouched)
	if v.Severity == nil || v.Kind != string(report.IncidentFile) {
		return
	}
	e.print("     severity %s, computed again from these entries (%s)\n", v.Severity, v.Severity.Method)
	for _, line := range v.Severity.Lines() {
		e.print("     %s\n", line)
	}
}

// severityIn is the severity of what was verified; nil for a notice, which is about
// one patient.
func severityIn(s *report.Seen) *report.Severity {
	switch {
	case s.Incident != nil:
		return &s.Incident.Severity
	case s.Draft != nil:
		return &s.Draft.Incident.Severity
	}
	return nil
}

// trust are the keepers of a set file, or of the network in --dir.
func (e *env) trust(file string) (*report.Trust, error) {
	if file == "" {
		n, err := e.network()
		if err != nil {
			return nil, err
		}
		return trustIn(n.Set()), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read keeper set: %w", err)
	}
	set, err := actor.ParseSet(data)
	if err != nil {
		return nil, fmt.Errorf("read keeper set: %w", err)
	}
	return trustIn(set), nil
}

func trustIn(set *actor.Set) *report.Trust {
	t := &report.Trust{Keepers: make(map[abaton.KeeperIndex]report.Keeper), Shape: ledger.Shape{Keepers: int(set.N), Threshold: int(set.T), Faulty: int(set.F)}}
	for i := range set.Keepers {
		k := &set.Keepers[i]
		t.Keepers[k.X] = report.Keeper{Origin: k.Origin, Key: k.Key, Since: set.Begun(k.X).At}
	}
	return t
}

func newReportStatus(e *env) *cobra.Command {
	var out string
	var asJSON bool
	c := &cobra.Command{Use: "status", Short: "The clocks of an incident, and what is due when", Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error { return e.reportStatus(out, asJSON) }}
	c.Flags().StringVar(&out, "out", "", "the incident's folder")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("out")
	return c
}

// statusSaid is report status --json.
type statusSaid struct {
	V        int           `json:"v"`
	Incident string        `json:"incident"`
	Drill    bool          `json:"drill"`
	Clocks   report.Clocks `json:"clocks"`
	Due      []dueSaid     `json:"due"`
}

type dueSaid struct {
	Rule string `json:"rule"`
	Step string `json:"step"`
	Due  int64  `json:"due"`
	Left int64  `json:"seconds_left"` // negative: over
}

func (e *env) reportStatus(dir string, asJSON bool) error {
	data, err := os.ReadFile(dir + "/incident.json")
	if err != nil {
		return fmt.Errorf("read incident: %w", err)
	}
	trust, err := e.trust("")
	if err != nil {
		return err
	}
	seen, err := report.Verify(data, trust)
	if err != nil {
		return err
	}
	i := seen.Incident
	if i == nil {
		return errors.New("incident.json is no incident")
	}
	now := time.Now().Unix()
	s := statusSaid{V: 1, Incident: i.ID, Drill: i.Drill, Clocks: i.Clocks, Due: []dueSaid{}}
	for _, r := range i.Regimes {
		for _, step := range r.Steps {
			s.Due = append(s.Due, dueSaid{r.Rule, step.Name, step.Due, step.Due - now})
		}
	}
	if asJSON {
		return e.json(s)
	}
	e.print("%s  first read %s, detected %s\n", i.ID, clockText(i.Clocks.FirstRead), clockText(i.Clocks.Detected))
	e.print("contained %s, aware %s\n", clockText(i.Clocks.Contained), clockText(i.Clocks.Aware))
	for _, d := range s.Due {
		left := "in " + (time.Duration(d.Left) * time.Second).String()
		switch {
		case d.Due == i.Clocks.Detected:
			left = "at once"
		case d.Left < 0:
			left = "OVER"
		}
		e.print("%-8s  %-32s  due %s  %s\n", d.Rule, d.Step, clockText(d.Due), left)
	}
	return nil
}

func clockText(at int64) string {
	if at == 0 {
		return "not known"
	}
	return time.Unix(at, 0).UTC().Format(time.DateTime)
}
