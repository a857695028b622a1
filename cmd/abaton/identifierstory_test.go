package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/thief"
)

// planted are the numbers of two people: a citizen's and an insurance number
// each, none of them anybody's.
var planted = []struct{ who, citizen, insurance string }{
	{"11111111-1111-4111-8111-111111111111", "184627359", "7391046285"},
	{"22222222-2222-4222-8222-222222222222", "529173846", "8264019573"},
}

const (
	citizenSystem   = "http://fhir.nl/fhir/NamingSystem/bsn"
	insuranceSystem = "http://example.org/insurance"
)

func plantedBundle(who, citizen, insurance string) string {
	return fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[
{"fullUrl":"urn:uuid:%[1]s","resource":{"resourceType":"Patient","id":"%[1]s","identifier":[{"system":"%[4]s","value":"%[2]s"},{"system":"%[5]s","value":"%[3]s"}],"birthDate":"1950-01-31"},"request":{"method":"POST","url":"Patient"}},
{"fullUrl":"urn:uuid:a%[6]s","resource":{"resourceType":"Coverage","status":"active","subscriberId":"%[3]s","beneficiary":{"reference":"urn:uuid:%[1]s"},"payor":[{"display":"insurer"}]},"request":{"method":"POST","url":"Coverage"}}]}`,
		who, citizen, insurance, citizenSystem, insuranceSystem, who[1:])
}

// TestNumbersLeaveNoTrace (R09): national and insurance numbers come in, are
// searched for and found, and stand nowhere: not at a keeper, not on the
// gateway's disk, in no log and in no metric; not as they are, not in an
// encoding, and not as a hash that could be guessed.
func TestNumbersLeaveNoTrace(t *testing.T) {
	if testing.Short() {
		t.Skip("runs six processes")
	}
	l := newLife(t)
	folder := t.TempDir()
	var facts []thief.Fact
	for _, p := range planted {
		l.check(os.WriteFile(filepath.Join(folder, p.who+".json"), []byte(plantedBundle(p.who, p.citizen, p.insurance)), 0o600), "write")
		facts = append(facts, thief.NumberFacts(citizenSystem, p.citizen)...)
		facts = append(facts, thief.NumberFacts(insuranceSystem, p.insurance)...)
	}
	if found, kinds, err := thief.Control(t.Context(), t.TempDir(), facts); err != nil || found < kinds {
		t.Fatalf("the search itself finds %d of %d that lie open: %v", found, kinds, err)
	}
	l.does("import", folder)
	for _, p := range planted {
		l.does("grant", "give", "--as", "patient-"+p.who[:8], "--to", "dr-anna", "--read", "general", "--for", "2h")
	}
	l.does("login", "--as", "dr-anna")
	s, err := (&env{dir: l.n.Dir()}).kept("dr-anna")
	l.check(err, "session")
	for _, p := range planted {
		for system, value := range map[string]string{citizenSystem: p.citizen, insuranceSystem: p.insurance} {
			query := "identifier=" + url.QueryEscape(system+"|"+value)
			_, answer, _, err := ask(t.Context(), s, http.MethodGet, "/Patient?"+query, nil)
			l.check(err, "search")
			if !strings.Contains(string(answer), `"total":1`) || !strings.Contains(string(answer), value) {
				t.Errorf("a number that is there: got no one patient")
			}
			r, err := s.Request(t.Context(), http.MethodPost, "/Patient/_search", strings.NewReader(query))
			l.check(err, "request")
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := http.DefaultClient.Do(r)
			l.check(err, "search")
			answer, err = io.ReadAll(resp.Body)
			l.check(err, "search")
			resp.Body.Close()
			if !strings.Contains(string(answer), `"total":1`) {
				t.Errorf("a number searched for by a form: got no one patient")
			}
		}
		// Where it goes wrong, nothing is told either.
		for _, path := range []string{"/Patient/" + p.citizen, "/Patient?identifier:no-such=" + p.citizen, "/" + p.citizen, "/Observation?subject:Patient.identifier=x|" + p.insurance + "&_sort=" + p.citizen} {
			if _, _, _, err := ask(t.Context(), s, http.MethodGet, path, nil); err != nil && strings.Contains(err.Error(), p.citizen) {
				t.Error("a refusal holds the number")
			}
		}
	}
	l.check(l.settled(t.Context()), "settle")
	metrics := filepath.Join(t.TempDir(), "metrics")
	l.check(os.Mkdir(metrics, 0o700), "metrics")
	urls := []string{l.n.GatewayAdminURL()}
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		urls = append(urls, l.n.KeeperAdminURL(x))
	}
	for i, u := range urls {
		resp, err := http.Get(u + "/metrics")
		l.check(err, "metrics")
		text, err := io.ReadAll(resp.Body)
		l.check(err, "metrics")
		resp.Body.Close()
		l.check(os.WriteFile(filepath.Join(metrics, fmt.Sprint(i)), text, 0o600), "metrics")
	}
	l.check(l.run.StopGateway(), "stop")
	for x := abaton.KeeperIndex(1); x <= 5; x++ {
		l.check(l.run.StopKeeper(x), "stop")
		loot, err := thief.Steal(t.Context(), filepath.Join(t.TempDir(), "loot"), l.n.KeeperDir(x))
		l.check(err, "steal")
		l.traceless(facts, loot, fmt.Sprintf("keeper %d", x))
	}
	// All else that lies in the network's folder but people's own devices: the
	// gateway, its outbox, every log, what the importer notes.
	entries, err := os.ReadDir(l.n.Dir())
	l.check(err, "list")
	all, err := filepath.Glob(filepath.Join(l.n.Dir(), "*", "log", "*.log"))
	l.check(err, "list")
	logs := len(all)
	for _, e := range entries {
		if !e.IsDir() || e.Name() == "people" {
			continue
		}
		loot, err := thief.StealFiles(t.Context(), filepath.Join(t.TempDir(), "loot"), filepath.Join(l.n.Dir(), e.Name()))
		l.check(err, "steal")
		l.traceless(facts, loot, e.Name())
	}
	if logs < 6 {
		t.Errorf("logs looked through: got %d, want those of six processes", logs)
	}
	loot, err := thief.StealFiles(t.Context(), filepath.Join(t.TempDir(), "loot"), metrics)
	l.check(err, "steal")
	l.traceless(facts, loot, "metrics")
}

func (l *life) traceless(facts []thief.Fact, loot *thief.Loot, what string) {
	l.t.Helper()
	report, err := thief.Open(l.t.Context(), facts, loot)
	l.check(err, "open")
	if report.Found > 0 {
		l.t.Errorf("%s: %s", what, report.Readable())
	}
	l.t.Logf("%s: %s, %d facts", what, report.Readable(), report.Facts)
}
