package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/blast"
)

func newBlastCommand(e *env) *cobra.Command {
	var asJSON, records bool
	c := &cobra.Command{Use: "blast THING...", Short: "What a thief of one thing would reach", Args: cobra.MinimumNArgs(1),
		Long: `What a thief of exactly one thing would reach: computed from the key logs by the
rules that keepers go by, each thing by itself.

A THING is a person, a device, an app or an agent (a handle or act1...), the
clinic or a team of it, keeper1 to keeper5, a passkey (64 hexadecimal digits), or
one of the words gateway (its disk, and its memory with the whole staff signed in),
kit and helper (the one that reaches most).
A person stands for several thefts: all that it has, its open session, its
passkey alone, its locked device, and of a patient the paper kit.

With --records the patients' own devices, as far as this network plays them, list
how many records there are; each of these lists stands in its patient's history.`,
		Example: "  abaton blast dr-anna-device\n  abaton blast keeper2 gateway kit --records --json",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			s, err := newSurvey(c.Context(), m, records)
			if err != nil {
				return err
			}
			list := blastList{V: 1, At: s.now.Unix(), Counted: records, Things: []blastThing{}}
			for _, arg := range args {
				thefts, err := s.named(arg)
				if err != nil {
					return err
				}
				for _, t := range thefts {
					list.Things = append(list.Things, s.report(t))
				}
			}
			if asJSON {
				return e.json(list)
			}
			for _, t := range list.Things {
				e.print("%s\n", t.Says)
			}
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&records, "records", false, "count records too, by the patients' own devices")
	return c
}

// blastList is abaton blast --json (docs/OPERATING.md#blast). Its names and
// what they mean do not change within version 1.
type blastList struct {
	V       int          `json:"v"`
	At      int64        `json:"at"`      // unix seconds
	Counted bool         `json:"counted"` // records were counted
	Things  []blastThing `json:"things"`
}

// blastThing is one theft.
type blastThing struct {
	Thing     blast.Kind    `json:"thing"`
	Who       string        `json:"who"`
	Patients  int           `json:"patients"`
	Records   int           `json:"records"`             // of owners whose records were counted
	Uncounted int           `json:"uncounted,omitempty"` // owners reached whose records were not
	Until     int64         `json:"until,omitempty"`     // unix seconds; absent: nothing opens, or no end
	Opens     []blastOpen   `json:"opens"`
	Besides   []blastMore   `json:"besides"`
	Can       []blastPower  `json:"can"`
	Cannot    []string      `json:"cannot_reach"` // categories, of the patients reached
	OneMore   []blastSecond `json:"with_one_more"`
	Cut       *blastCut     `json:"biggest_cut,omitempty"`
	Says      string        `json:"says"`
}

type blastOpen struct {
	Owner   string      `json:"owner"`
	House   bool        `json:"house,omitempty"`   // an organisation's own: its directory, its quarantine
	Grant   string      `json:"grant,omitempty"`   // absent: as the owner
	To      string      `json:"to,omitempty"`      // whom the grant names, or whom it was handed on to
	Through string      `json:"through,omitempty"` // who handed it on
	Lines   []blastLine `json:"lines"`
	Records int         `json:"records"`
	Until   int64       `json:"until,omitempty"`
}

type blastLine struct {
	Line     string `json:"line"`
	Category string `json:"category,omitempty"` // where this network's patients say it
	Level    uint8  `json:"level"`
	Records  int    `json:"records"`
}

type blastMore struct {
	Way       blast.Way `json:"way"`
	Patients  int       `json:"patients"`
	House     bool      `json:"house,omitempty"`
	Records   int       `json:"records"`
	Uncounted int       `json:"uncounted,omitempty"` // owners whose records were not counted
	PerDay    int       `json:"per_day,omitempty"`   // patients, at each keeper
	Wait      int64     `json:"wait_seconds,omitempty"`
}

type blastPower struct {
	Can      blast.Can `json:"can"`
	Patients int       `json:"patients,omitempty"`
}

type blastSecond struct {
	Thing    blast.Kind `json:"thing"`
	Patients int        `json:"patients"`
	Records  int        `json:"records"`
	Later    int        `json:"later,omitempty"` // patients, in the ways of besides
	Choices  int        `json:"choices"`         // how many such things would do
}

type blastCut struct {
	To       string `json:"to"` // taking back what this one was given
	Patients int    `json:"patients"`
	Records  int    `json:"records"`
}

// report computes one theft and says it.
func (s *survey) report(t theft) blastThing {
	r := s.world.Reach(t.stolen...)
	out := blastThing{Thing: t.kind, Who: t.who, Patients: r.Patients, Records: r.Records, Uncounted: r.Uncounted, Until: unixOf(r.Until),
		Opens: []blastOpen{}, Besides: []blastMore{}, Can: []blastPower{}, Cannot: s.unreached(r), OneMore: []blastSecond{}}
	for _, o := range r.Opens {
		out.Opens = append(out.Opens, s.open(o))
	}
	for _, m := range r.More {
		out.Besides = append(out.Besides, blastMore{m.Way, m.Patients, m.House, m.Records, m.Uncounted, m.PerDay, int64(m.Wait / time.Second)})
	}
	for _, p := range r.Powers {
		out.Can = append(out.Can, blastPower{p.Can, p.Patients})
	}
	for _, one := range s.world.Seconds(s.others(), t.stolen...) {
		out.OneMore = append(out.OneMore, blastSecond{one.Kind, one.Patients, one.Records, one.Later, one.Things})
	}
	if cut, ok := s.world.BiggestCut(t.stolen...); ok {
		out.Cut = &blastCut{nameOf(s.known, cut.Grantee), cut.Patients, cut.Records}
	}
	out.Says = s.say(&out)
	return out
}

func (s *survey) open(o blast.Open) blastOpen {
	out := blastOpen{Owner: nameOf(s.known, o.Owner), House: o.House, Records: o.Records, Until: unixOf(o.Until)}
	if o.Grant != (abaton.GrantID{}) {
		out.Grant, out.To = o.Grant.String(), nameOf(s.known, o.Grantee)
	}
	if !o.Onward.IsZero() {
		out.Through = nameOf(s.known, o.Onward.From)
	}
	for _, l := range o.Lines {
		out.Lines = append(out.Lines, blastLine{l.ID.String(), s.categories[l.ID], l.Level, l.Records})
	}
	return out
}

func unixOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// theft is what is stolen at once, and how people call it.
type theft struct {
	kind   blast.Kind
	who    string
	stolen []blast.Thing
}

func theftOf(who string, t blast.Thing) theft { return theft{t.Kind, who, []blast.Thing{t}} }
