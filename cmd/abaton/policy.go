package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/policy"
)

// newPolicyCommand is what an organisation does with its policy.
func newPolicyCommand(e *env) *cobra.Command {
	return noun("policy", "What an organisation's people, applications and devices may ask for",
		newPolicyShow(e), newPolicyCheck(e), newPolicySimulate(e), newPolicyPublish(e), newPolicyStatus(e))
}

func newPolicyShow(e *env) *cobra.Command {
	return &cobra.Command{Use: "show solo|hospital|ORG", Short: "Print a shipped policy, or the one in force in an organisation", Args: cobra.ExactArgs(1),
		Example: "  abaton policy show hospital > our.cedar",
		RunE: func(c *cobra.Command, args []string) error {
			text, err := policy.Shipped(args[0])
			if errors.Is(err, policy.ErrNotShipped) {
				var now *inForce
				if now, err = e.policyOf(c, args[0]); err == nil {
					text = now.text
				}
			}
			if err != nil {
				return err
			}
			_, err = e.stdout.Write(text)
			return err
		}}
}

func newPolicyCheck(e *env) *cobra.Command {
	return &cobra.Command{Use: "check FILE", Short: "Say whether keepers would take a policy", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := e.policyText(args[0])
			if err != nil {
				return err
			}
			r, err := readPolicy(text)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			e.print("%s  %d rules\n", r.ID(), r.Len())
			for id, p := range r.All() {
				effect := "forbid"
				if p.Effect() {
					effect = "permit"
				}
				e.print("  %s  %-24s %s\n", effect, id, r.Why(string(id)))
			}
			return nil
		}}
}

// policyText is a shipped text by its name, or a file's.
func (e *env) policyText(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if shipped, missing := policy.Shipped(name); missing == nil {
			return shipped, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	return text, nil
}

func readPolicy(text []byte) (*policy.Rules, error) {
	s, err := policy.NewSchema()
	if err != nil {
		return nil, err
	}
	return policy.Parse(text, s)
}

// inForce is an organisation's policy as its key log says it now.
type inForce struct {
	*device
	state *actor.State
	body  *actor.Policy // nil where the shipped one holds
	text  []byte
}

// policyOf asks the keepers for an organisation's key log.
func (e *env) policyOf(c *cobra.Command, handle string) (*inForce, error) {
	d, err := e.device(handle)
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	return d.policy(c)
}

func (d *device) policy(c *cobra.Command) (*inForce, error) {
	if d.Kind != actor.Organisation {
		return nil, usage("%s is no organisation", d.Handle)
	}
	st, err := d.net.Log(c.Context(), d.ID)
	if err != nil {
		return nil, fmt.Errorf("read key log: %w", err)
	}
	now := &inForce{device: d, state: st, body: st.Policy(time.Now().Unix())}
	if now.body != nil {
		now.text = now.body.Text
		return now, nil
	}
	now.text, err = policy.Shipped("solo")
	return now, err
}

// policyLine is one version in policy status --json.
type policyLine struct {
	Version   uint64    `json:"version"`
	Text      string    `json:"text"`
	Rules     int       `json:"rules"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Standing  string    `json:"standing"`
	Now       bool      `json:"decides_now"`
}

func newPolicyStatus(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status ORG", Short: "Which policy is in force, until when, and what waits", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			now, err := e.policyOf(c, args[0])
			if err != nil {
				return err
			}
			lines, err := now.lines(time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(map[string]any{"v": 1, "organisation": now.ID.String(), "policies": lines})
			}
			for _, l := range lines {
				e.printPolicy(l)
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// lines are the shipped policy where it holds, then the versions, oldest first.
func (now *inForce) lines(at time.Time) ([]policyLine, error) {
	s, err := policy.NewSchema()
	if err != nil {
		return nil, err
	}
	var lines []policyLine
	if now.body == nil {
		b, err := policy.Baseline(s)
		if err != nil {
			return nil, err
		}
		lines = append(lines, policyLine{Text: b.Rules().ID().String(), Rules: b.Rules().Len(), Standing: "in force: shipped, none published", Now: true})
	}
	all := now.state.Policies()
	slices.SortFunc(all, func(a, b *actor.Policy) int { return int(a.Version) - int(b.Version) })
	for _, body := range all {
		l := policyLine{Version: body.Version, Text: policy.IDOf(body.Text).String(), Now: body == now.body, Standing: "not readable by this version: keepers refuse everything",
			NotBefore: time.Unix(body.NotBefore, 0).UTC(), Expires: time.Unix(body.Expires, 0).UTC()}
		if r, err := policy.Parse(body.Text, s); err == nil {
			set, err := policy.NewSet(r, body.Version, body.NotBefore, body.Expires)
			if err != nil {
				return nil, err
			}
			l.Rules, l.Standing = r.Len(), set.Standing(at)
			if now.body != nil && body.Version < now.body.Version {
				l.Standing = "replaced"
			}
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (e *env) printPolicy(l policyLine) {
	mark := " "
	if l.Now {
		mark = "*"
	}
	if l.Version == 0 {
		e.print("%s shipped     %s  %s\n", mark, l.Text, l.Standing)
		return
	}
	e.print("%s version %-3d %s  %s to %s  %s\n", mark, l.Version, l.Text, l.NotBefore.Format(time.DateTime), l.Expires.Format(time.DateTime), l.Standing)
	if l.Now && strings.HasSuffix(l.Standing, "soon") {
		e.say("It ends within %d days. After it keepers refuse everything but emergencies: publish the next version.", int(policy.WarnBefore.Hours()/24))
	}
}

// parseSpan reads "36h" or "90d".
func parseSpan(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
