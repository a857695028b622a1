package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/report"
)

const (
	// lettersAFolder is how many patients' letters lie in one folder, of an incident
	// with more patients than that.
	lettersAFolder = 1000
	// lettersFile says how the letters of an incident are made: whoever goes on goes
	// on alike.
	lettersFile = ".letters.json"
	// inPerson is the folder of letters that are no letters: nothing may be posted to
	// these patients, and no list of files to post shall have them.
	inPerson = "in-person"
)

// lettersHow is lettersFile.
type lettersHow struct {
	V         int              `json:"v"`
	Languages []string         `json:"languages"`
	Large     bool             `json:"large"`
	Private   []string         `json:"private"`
	Settings  *report.Settings `json:"settings"`
}

func newReportLetters(e *env) *cobra.Command {
	var out, as string
	var asJSON bool
	c := &cobra.Command{Use: "letters", Short: "Go on with the letters of an incident where making them ended early", Args: cobra.NoArgs,
		Long: `Goes on with the letters and drafts of an incident whose folder has incident.json
and .letters.json. Nobody is asked: what keepers told stands in the incident. Letters
that are there and right stay; running it again changes nothing.`,
		RunE: func(_ *cobra.Command, _ []string) error { return e.goOn(out, as, asJSON) }}
	c.Flags().StringVar(&out, "out", "", "the incident's folder")
	c.Flags().StringVar(&as, "as", "", "who asked: the clinic (default), or its security officer")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("out")
	return c
}

// goOn makes what is missing of an incident's files.
func (e *env) goOn(dir, as string, asJSON bool) error {
	n, err := e.network()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(dir, "incident.json"))
	if err != nil {
		return fmt.Errorf("read incident: %w", err)
	}
	trust, err := e.trust("")
	if err != nil {
		return err
	}
	r, err := report.Reopen(data, trust)
	if err != nil {
		return err
	}
	if as == "" {
		org, err := n.Organisation()
		if err != nil {
			return err
		}
		as = org.Handle
	}
	d, err := e.device(as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	if d.Manage.ID() != r.Key {
		return usage("--as: another key asked the keepers, and must sign")
	}
	w := &reportWriter{device: d, dir: dir, proofs: r.Proofs, asked: r.Asked, incident: r.Incident, say: e.say}
	if err := w.readHow(); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	return e.sayReport(w, asJSON)
}

// readHow takes how the letters are made from the folder.
func (w *reportWriter) readHow() error {
	text, err := os.ReadFile(filepath.Join(w.dir, lettersFile))
	if err != nil {
		return fmt.Errorf("read %s: %w", lettersFile, err)
	}
	var how lettersHow
	if json.Unmarshal(text, &how) != nil || how.V != 1 || how.Settings == nil {
		return fmt.Errorf("read %s: damaged, or of another version", lettersFile)
	}
	w.settings, w.languages, w.large, w.facts = how.Settings, how.Languages, how.Large, new(report.Facts)
	for _, name := range how.Private {
		id, err := abaton.ParseActorID(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", lettersFile, err)
		}
		w.facts.Private = append(w.facts.Private, id)
	}
	return nil
}

// begin writes the incident before its letters, and how they are made: from then on
// "report letters" can go on.
func (w *reportWriter) begin() error {
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		return fmt.Errorf("make report: %w", err)
	}
	how := lettersHow{V: 1, Languages: w.languages, Large: w.large, Private: []string{}, Settings: w.settings}
	for _, id := range w.facts.Private {
		how.Private = append(how.Private, id.String())
	}
	text, err := json.MarshalIndent(&how, "", "  ")
	if err != nil {
		return fmt.Errorf("make report: %w", err)
	}
	data, err := report.SealIncident(w.incident, w.proofs, w.asked, w.Manage)
	if err != nil {
		return err
	}
	return errors.Join(w.put(lettersFile, text), w.put("incident.json", data))
}

// finish makes the letters that are missing, then the incident that names them all,
// then the drafts.
func (w *reportWriter) finish() error {
	w.incident.Notices = []report.Sent{}
	for i, p := range w.incident.Scope.Patients {
		if err := w.notice(i, p.Patient); err != nil {
			return err
		}
		if n := i + 1; n%lettersAFolder == 0 {
			w.say("Letters: %d of %d.", n, len(w.incident.Scope.Patients))
		}
	}
	data, err := report.SealIncident(w.incident, w.proofs, w.asked, w.Manage)
	if err != nil {
		return err
	}
	if err := w.save("incident", data); err != nil {
		return err
	}
	return w.draft()
}

// notice makes one patient's letter, unless it is there as it would be made.
func (w *reportWriter) notice(i int, patient string) error {
	id, err := abaton.ParseActorID(patient)
	if err != nil {
		return err
	}
	n := report.NewNotice(w.incident, w.settings, w.facts, id, w.languages)
	n.Large = w.large
	data, err := report.SealNotice(n, w.proofs, w.asked, w.Manage)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	w.incident.Notices = append(w.incident.Notices, report.Sent{Patient: patient, File: hex.EncodeToString(sum[:]), Post: n.Post})
	folder := ""
	switch {
	case !n.Post:
		folder = inPerson
	case len(w.incident.Scope.Patients) > lettersAFolder:
		folder = fmt.Sprintf("notices-%03d", i/lettersAFolder+1)
	}
	return w.save(filepath.Join(folder, "notice-"+short(patient)), data)
}

// printBytesMax is the longest signed file that gets a page and a PDF, each of which
// holds it: a longer one is for programs.
const printBytesMax = 32 << 20

// save writes a page, a PDF and then the signed file; all are the owner's alone. If
// the signed file is there as it should be, so are the others.
func (w *reportWriter) save(name string, data []byte) error {
	forms := []struct {
		ext  string
		made func([]byte) ([]byte, error)
	}{{".html", report.Page}, {".pdf", report.Print}, {".json", func(b []byte) ([]byte, error) { return b, nil }}}
	if len(data) > printBytesMax {
		forms = forms[2:]
	}
	was, err := os.ReadFile(filepath.Join(w.dir, name+".json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make report: %w", err)
	}
	there := err == nil && bytes.Equal(was, data)
	for _, f := range forms {
		if _, err := os.Stat(filepath.Join(w.dir, name+f.ext)); there && err == nil {
			w.files = append(w.files, name+f.ext)
			continue
		}
		content, err := f.made(data)
		if unprintable(err) {
			w.unprinted++ // the page shows every letter
			continue
		}
		if err != nil {
			return err
		}
		if err := w.put(name+f.ext, content); err != nil {
			return err
		}
		w.files = append(w.files, name+f.ext)
	}
	return nil
}

// put writes a file whole or not at all.
func (w *reportWriter) put(name string, content []byte) error {
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make report: %w", err)
	}
	part := path + ".part"
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return fmt.Errorf("make report: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("make report: %w", err)
	}
	return nil
}

// readClasses reads which class each line's records are; no file says nothing.
func readClasses(file string) (all []report.Class, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read classes: %w", err)
	}
	var stated map[string]string
	if err := json.Unmarshal(text, &stated); err != nil {
		return nil, usage("--classes: %v", err)
	}
	for line, class := range stated {
		all = append(all, report.Class{Line: line, Class: class})
	}
	return all, nil
}
