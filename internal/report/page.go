package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton/internal/pdf"
)

// A page is a signed file with what people read around it: HTML that prints,
// with nothing fetched from anywhere and no script that runs. It is made of the
// signed file alone, so that whoever holds the page makes it again and compares.

//go:embed page.html
var pageText string

// The signed file lies between these two in a page. JSON as encoding/json
// writes it has no "<".
const (
	pageOpens  = `<script type="application/json" id="signed">`
	pageCloses = "</script>"
)

// sheet is what the page shows.
type sheet struct {
	Language, Title, Drill string
	Large                  bool
	Lead                   []string
	Letters                []letterSheet
	Fields                 []fieldSheet
	Missing                []string
	Withheld               []string
	Evidence               []Proven
	Signed                 template.JS
}

type letterSheet struct {
	Language, Title, Drill string
	Parts                  []partSheet
}

type partSheet struct {
	Heading   string
	Sentences []Sentence
	List      bool
	Columns   []string
	Rows      [][]string
}

type fieldSheet struct {
	Section string // empty where it is the one before
	Filled
}

// Page is the readable page of a signed file: an HTML document that prints.
func Page(signed []byte) ([]byte, error) {
	s, err := sheetOf(signed)
	if err != nil {
		return nil, err
	}
	return s.write()
}

// sheetOf is what a signed file shows.
func sheetOf(signed []byte) (*sheet, error) {
	var f file
	if err := strict(signed, &f); err != nil {
		return nil, fails("it is no report: its form is not known")
	}
	s := &sheet{Language: "en", Signed: template.JS(signed)} // encoding/json left no "<" in it
	if f.Drill {
		s.Drill = wordsOf("en").Drill
	}
	var err error
	switch f.Kind {
	case IncidentFile:
		var i Incident
		if err = strict(f.Body, &i); err == nil {
			s.incident(&i)
		}
	case DraftFile:
		var d Draft
		if err = strict(f.Body, &d); err == nil {
			s.draft(&d)
		}
	case NoticeFile:
		var n Notice
		if err = strict(f.Body, &n); err == nil {
			s.notice(&n)
		}
	default:
		err = errForm
	}
	if err != nil {
		return nil, fails("its body is not in its form")
	}
	s.Evidence = f.Evidence.Entries
	return s, nil
}

func (s *sheet) write() ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{"hex": func(b []byte) string { return fmt.Sprintf("%x", b) }, "join": strings.Join}).Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, s); err != nil {
		return nil, fmt.Errorf("write page: %w", err)
	}
	return b.Bytes(), nil
}

// signedIn is the signed file in a page or in what is printed, and how that is made
// of it: nil where the data is the signed file itself.
func signedIn(data []byte) (signed []byte, made func([]byte) ([]byte, error), err error) {
	if bytes.HasPrefix(data, []byte("{")) {
		return data, nil, nil
	}
	if bytes.HasPrefix(data, []byte("%PDF-")) {
		signed, found := pdf.Attached(data)
		if !found {
			return nil, nil, fails("no signed file is attached to it")
		}
		return signed, Print, nil
	}
	_, after, found := bytes.Cut(data, []byte(pageOpens))
	signed, _, ends := bytes.Cut(after, []byte(pageCloses))
	if !found || !ends {
		return nil, nil, fails("it is no report, and no page of one")
	}
	return signed, Page, nil
}

func (s *sheet) incident(i *Incident) {
	s.Title = "Incident " + i.ID
	s.Lead = []string{
		fmt.Sprintf("%d patients with records opened; %d not sure; %d asked for and nothing opened; %d listed only.", i.Scope.People.Opened, i.Scope.People.Close, i.Scope.People.Asked, i.Scope.People.Listed),
		fmt.Sprintf("%d records opened, %d not sure, %d asked for and stayed sealed.", i.Scope.Records.Opened, i.Scope.Records.Close, i.Scope.Records.Asked),
		"This list is " + i.Complete.Says + ".",
	}
	s.Lead = append(s.Lead, i.Complete.Faults...)
	s.Lead = append(s.Lead, "Severity: "+i.Severity.String()+". Method: "+i.Severity.Method+". A person judges the risk.")
	s.Lead = append(s.Lead, i.Severity.Lines()...)
	for _, c := range i.Exposure.Classes {
		s.Lead = append(s.Lead, fmt.Sprintf("Class of records: %s: %d patients; %d records opened, %d not sure, %d asked for.", c.Class, c.People, c.Records.Opened, c.Records.Close, c.Records.Asked))
	}
	for _, r := range i.Regimes {
		for _, step := range r.Steps {
			s.Lead = append(s.Lead, fmt.Sprintf("%s, %s: due %s", r.Rule, step.Name, moment(step.Due)))
		}
	}
	var rows [][]string
	for _, p := range i.Scope.Patients {
		rows = append(rows, []string{moment(p.First), p.Patient, "", strconv.Itoa(p.Records.Opened), strconv.Itoa(p.Records.Close + p.Records.Asked), ids(p.Reads)})
	}
	s.Letters = []letterSheet{{Language: "en", Title: "Patients", Parts: []partSheet{{Columns: []string{"First", "Patient", "", "Opened", "Not opened", "Proof"}, Rows: rows}}}}
}

func ids(reads []Read) string {
	var all []string
	for _, r := range reads {
		all = append(all, r.Evidence...)
	}
	return strings.Join(all, " ")
}

func (s *sheet) draft(d *Draft) {
	s.Title = "Draft: " + d.Name
	s.Lead = []string{fmt.Sprintf("%d of %d fields filled (%d %%). This is a draft: a person reads it, completes it and hands it in.", d.Filled, d.Of, d.Percent())}
	for _, step := range d.Steps {
		s.Lead = append(s.Lead, fmt.Sprintf("%s: due %s", step.Name, moment(step.Due)))
	}
	for _, other := range d.Others {
		s.Lead = append(s.Lead, "Others: "+other)
	}
	before := ""
	for _, f := range d.Fields {
		shown := fieldSheet{Filled: f}
		if f.Section != before {
			before, shown.Section = f.Section, f.Section
		} else {
			shown.Section = ""
		}
		s.Fields = append(s.Fields, shown)
	}
	s.Missing = d.Missing
}

func (s *sheet) notice(n *Notice) {
	s.Large = n.Large
	if !n.Post {
		s.Title = wordsOf("en").Title
		for _, language := range n.Languages {
			w := wordsOf(language)
			if w == nil {
				continue
			}
			speak := w.SpeakNobody
			if n.From.Person != "" {
				speak = fmt.Sprintf(w.Speak, n.From.Person)
			}
			s.Withheld = append(s.Withheld, w.Withheld, speak)
		}
		return
	}
	for _, language := range n.Languages {
		w := wordsOf(language)
		if w == nil {
			continue
		}
		l := letterSheet{Language: language, Title: w.Title}
		if n.Drill {
			l.Drill = w.Drill
		}
		for _, p := range n.Letter(language) {
			part := partSheet{Heading: p.Heading, Sentences: p.Sentences, List: p.List}
			if p.Reads {
				part.Columns, part.Rows = w.Columns[:], n.rows(w)
			}
			l.Parts = append(l.Parts, part)
		}
		s.Letters = append(s.Letters, l)
	}
	if len(s.Letters) > 0 {
		s.Language, s.Title = s.Letters[0].Language, s.Letters[0].Title
	}
}

func (n *Notice) rows(w *phrases) (rows [][]string) {
	for _, r := range n.Facts.Reads {
		what := w.Acts[r.What]
		if what == "" {
			what = r.What
		}
		rows = append(rows, []string{w.moment(r.At), what, r.Role, strconv.Itoa(r.Opened), strconv.Itoa(r.Refused), strings.Join(r.Evidence, " ")})
	}
	return rows
}
