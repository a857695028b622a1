package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// network measures five real keepers and a gateway on this machine.
func network(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "abaton-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	up, err := b.up(ctx, filepath.Join(dir, "net"))
	if err != nil {
		return err
	}
	defer up.stop()
	steps := []func(context.Context, *bench, *running) error{idle, imports, charts, opening, revoking, memory}
	for _, step := range steps {
		if err := step(ctx, b, up); err != nil {
			return err
		}
	}
	if err := up.stop(); err != nil {
		return err
	}
	return stored(b, up)
}

// running is a network that `abaton up` runs.
type running struct {
	*local.Network
	dir   string
	cmd   *exec.Cmd
	plain int64 // bytes of imported JSON, minified
	count int   // resources imported
	ended bool
}

// up starts the network as a person would and waits until it says what to
// try.
func (b *bench) up(ctx context.Context, dir string) (*running, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "abaton"), "up", "--dir", dir)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = io.Discard
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "curl") {
			break
		}
	}
	go io.Copy(io.Discard, out) // ends with the process
	n, err := local.Open(dir)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	return &running{Network: n, dir: dir, cmd: cmd}, nil
}

func (r *running) stop() error {
	if r.ended {
		return nil
	}
	r.ended = true
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return r.cmd.Wait()
}

// rss is the resident memory of the network's processes, in MiB: of keeper 1,
// of the gateway, of all.
func (r *running) rss() (keeper, gateway, all float64, err error) {
	out, err := exec.Command("ps", "-eo", "rss=,args=").Output()
	if err != nil {
		return 0, 0, 0, err
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 2 || !strings.Contains(line, r.dir) || !strings.Contains(f[1], "abaton") {
			continue
		}
		kb, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			continue
		}
		mib := kb / 1024
		all += mib
		switch {
		case strings.HasSuffix(f[1], "abaton-gateway"):
			gateway = mib
		case strings.HasSuffix(f[1], "abaton-keeper") && strings.Contains(line, r.KeeperDir(1)):
			keeper = mib
		}
	}
	return keeper, gateway, all, nil
}

func idle(_ context.Context, b *bench, r *running) error {
	keeper, gateway, all, err := r.rss()
	if err != nil {
		return err
	}
	b.add(row{Name: "memory: keeper, sample patients", Value: keeper, Unit: "MiB", Budget: "≤ 60 MB idle"})
	b.add(row{Name: "memory: gateway, sample patients", Value: gateway, Unit: "MiB"})
	b.add(row{Name: "memory: whole network, sample patients", Value: all, Unit: "MiB", Budget: "≤ 2 GB"})
	return nil
}

// imports brings the data in through the gateway and takes the rate.
func imports(ctx context.Context, b *bench, r *running) error {
	if b.data == "" {
		return nil
	}
	for _, part := range []string{"0-hospital*", "0-practitioner*", "[1-9a-f]*"} {
		files, err := filepath.Glob(filepath.Join(b.data, part))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("data: nothing matches %s", part)
		}
		n, plain, err := sizes(files)
		if err != nil {
			return err
		}
		start := time.Now()
		cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "abaton"), append([]string{"import", "--dir", r.dir, "--json"}, files...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if _, err := cmd.Output(); err != nil {
			return fmt.Errorf("import: %w: %s", err, tail(stderr.String()))
		}
		took := time.Since(start)
		r.count, r.plain = r.count+n, r.plain+plain
		if part[0] != '0' {
			b.add(row{Name: "import through the gateway, all durable", Value: float64(n) / took.Seconds(), Unit: "/s", Budget: "≥ 1,500/s",
				Detail: fmt.Sprintf("%d resources in %.0f s; five keepers, gateway and importer on this machine", n, took.Seconds())})
		}
	}
	return nil
}

func tail(s string) string { return s[max(0, len(s)-300):] }

// sizes counts resources and their minified bytes.
func sizes(files []string) (n int, plain int64, err error) {
	for _, f := range files {
		data, err := readBundle(f)
		if err != nil {
			return 0, 0, err
		}
		bundle, err := fhir.ParseBundle(data)
		if err != nil {
			return 0, 0, err
		}
		for _, e := range bundle.Entries {
			var small bytes.Buffer
			if err := json.Compact(&small, e.Resource.Raw()); err != nil {
				return 0, 0, err
			}
			n, plain = n+1, plain+int64(small.Len())
		}
	}
	return n, plain, nil
}

// front speaks FHIR to the gateway as one person.
type front struct {
	base, access string
	web          *http.Client
}

func (f *front) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+f.access)
	resp, err := f.web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET: status %d", resp.StatusCode)
	}
	return body, err
}

// signIn signs dr-anna in anew: a new session, so that every chart is cold.
func (r *running) signIn(ctx context.Context, b *bench) (*front, error) {
	if out, err := exec.CommandContext(ctx, filepath.Join(b.bin, "abaton"), "login", "--dir", r.dir, "--as", "dr-anna").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("login: %w: %s", err, tail(string(out)))
	}
	access, err := os.ReadFile(filepath.Join(r.People().Dir("dr-anna"), "access"))
	if err != nil {
		return nil, err
	}
	return &front{base: r.GatewayURL(), access: strings.TrimSpace(string(access)), web: &http.Client{}}, nil
}

// largeChart is from how many resources on a chart counts for the budget per
// thousand.
const largeChart = 500

// chartsMax bounds the charts opened, evenly over the patients.
const chartsMax = 30

// patientIDs are the FHIR ids of some patients dr-anna may read, as their own
// devices tell them.
func (r *running) patientIDs(ctx context.Context, b *bench) (ids []string, err error) {
	all, err := r.People().All(actor.Patient)
	if err != nil {
		return nil, err
	}
	step := max(1, len(all)/chartsMax)
	for i := 0; i < len(all); i += step {
		out, err := exec.CommandContext(ctx, filepath.Join(b.bin, "abaton"), "record", "list", "--dir", r.dir, "--as", all[i].Handle, "--json").Output()
		if err != nil {
			return nil, fmt.Errorf("record list: %w", err)
		}
		ids = append(ids, patientIn(out)...)
		if err := r.giveAnna(ctx, all[i]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// giveAnna lets dr-anna read a patient's ordinary parts.
func (r *running) giveAnna(ctx context.Context, p *people.Person) error {
	anna, err := r.People().Load("dr-anna")
	if err != nil {
		return err
	}
	n, closeAll, err := r.Client(p.Manage)
	if err != nil {
		return err
	}
	defer closeAll()
	_, _, err = p.Give(ctx, n, people.Terms{To: anna, Actions: grant.Read, Purpose: abaton.Treatment, Life: time.Hour, Quota: 1_000_000,
		Categories: []fhir.Category{fhir.General, fhir.Imaging, fhir.Emergency}})
	return err
}

// charts opens charts cold and then reads and searches in them.
func charts(ctx context.Context, b *bench, r *running) error {
	ids, err := r.patientIDs(ctx, b)
	if err != nil {
		return err
	}
	var directory, perThousand, small, reads, searches []time.Duration
	for i := range ids {
		f, err := r.signIn(ctx, b)
		if err != nil {
			return err
		}
		start := time.Now()
		if _, err := f.get(ctx, "/Organization?_count=1"); err != nil {
			return fmt.Errorf("cold directory: %w", err)
		}
		directory = append(directory, time.Since(start))
		start = time.Now()
		page, err := f.get(ctx, "/Patient/"+ids[i]+"/$everything?_count=10")
		if err != nil {
			return fmt.Errorf("cold chart: %w", err)
		}
		took := time.Since(start)
		total := totalIn(page)
		small = append(small, took)
		if total >= largeChart {
			perThousand = append(perThousand, took*1000/time.Duration(total))
		}
		for _, o := range observationsIn(page) {
			start = time.Now()
			if _, err := f.get(ctx, "/"+o); err != nil {
				return fmt.Errorf("read: %w", err)
			}
			reads = append(reads, time.Since(start))
		}
		for range 5 {
			start = time.Now()
			if _, err := f.get(ctx, "/Observation?patient="+ids[i]+"&_count=20"); err != nil {
				return fmt.Errorf("search: %w", err)
			}
			searches = append(searches, time.Since(start))
		}
	}
	if err := panel(ctx, b, r); err != nil {
		return err
	}
	trip := b.value("bare loopback TLS 1.3 h2 round trip")
	b.add(row{Name: "directory cold after sign-in, p50", Value: percentile(directory, 0.5), Unit: "ms", Limit: trip, LimitName: "one TLS round trip", Detail: "once a session: sessions at the keepers and the organisation's directory"})
	b.add(row{Name: "chart cold, any size, p50", Value: percentile(small, 0.5), Unit: "ms", Limit: trip, LimitName: "one TLS round trip"})
	if len(perThousand) > 0 {
		b.add(row{Name: "whole chart cold, per 1,000 resources, p50", Value: percentile(perThousand, 0.5), Unit: "ms", Budget: "≤ 300 ms", Limit: trip, LimitName: "one TLS round trip", Detail: fmt.Sprintf("%d charts of %d resources and more", len(perThousand), largeChart)})
	}
	b.add(row{Name: "FHIR read in an opened chart, p50", Value: percentile(reads, 0.5), Unit: "ms", Budget: "≤ 1 ms", Limit: trip, LimitName: "one TLS round trip"})
	b.add(row{Name: "FHIR search in an opened chart, p50", Value: percentile(searches, 0.5), Unit: "ms", Budget: "≤ 2 ms", Limit: trip, LimitName: "one TLS round trip"})
	return nil
}

// opening reads one record of about 20 KB again and again in a warm session,
// straight from the keepers.
func opening(ctx context.Context, b *bench, r *running) error {
	patients, err := r.People().All(actor.Patient)
	if err != nil || len(patients) == 0 {
		return errors.Join(err, errors.New("no patients"))
	}
	p := patients[0]
	n, closeAll, err := r.Client(p.Manage)
	if err != nil {
		return err
	}
	defer closeAll()
	own, err := p.Own(ctx, n)
	if err != nil {
		return err
	}
	in, err := r.People().Direct(ctx, p, n, own)
	if err != nil {
		return err
	}
	reader, err := n.NewReader(in)
	if err != nil {
		return err
	}
	defer reader.Close()
	ask := client.Ask{Patient: p.ID, Purpose: abaton.PatientAccess}
	for _, c := range fhir.Categories() {
		ask.Lines = append(ask.Lines, p.Line(c.ID()))
	}
	chart, err := reader.Chart(ctx, ask)
	if err != nil {
		return err
	}
	best := chart.Records[0]
	for _, rec := range chart.Records {
		if near(len(rec.Content)) < near(len(best.Content)) {
			best = rec
		}
	}
	one := client.Row{Batch: best.Name.Batch, Records: 1 << best.Name.Index}
	var all []time.Duration
	for i := range 250 {
		start := time.Now()
		if _, err := reader.Get(ctx, ask, one); err != nil {
			return err
		}
		if i >= 50 {
			all = append(all, time.Since(start))
		}
	}
	floor := b.value("bare loopback TLS 1.3 h2 round trip") + b.value("bare fsync of 4 KB")
	detail := fmt.Sprintf("a record of %d bytes", len(best.Content))
	b.add(row{Name: "open one record, 3 of 5 keepers, warm, p50", Value: percentile(all, 0.5), Unit: "ms", Budget: "≤ 5 ms", Limit: floor, LimitName: "one TLS round trip + one fsync", Detail: detail})
	b.add(row{Name: "open one record, 3 of 5 keepers, warm, p95", Value: percentile(all, 0.95), Unit: "ms", Budget: "≤ 15 ms", Limit: floor, LimitName: "one TLS round trip + one fsync", Detail: detail})
	return nil
}

// near is how far a size is from 20 KB.
func near(n int) int { return max(n-20_000, 20_000-n) }

// revoking gives access and takes it back, and waits until all five refuse.
func revoking(ctx context.Context, b *bench, r *running) error {
	patients, err := r.People().All(actor.Patient)
	if err != nil {
		return err
	}
	doctor, err := r.People().Load("dr-ben")
	if err != nil {
		return err
	}
	p := patients[0]
	n, closeAll, err := r.Client(p.Manage)
	if err != nil {
		return err
	}
	defer closeAll()
	var all []time.Duration
	for range 30 {
		id, _, err := p.Give(ctx, n, people.Terms{To: doctor, Actions: grant.Read, Categories: []fhir.Category{fhir.General}, Purpose: abaton.Treatment, Life: time.Hour, Quota: 10})
		if err != nil {
			return err
		}
		start := time.Now()
		published, err := p.Stop(ctx, n, id, false)
		if err != nil {
			return err
		}
		if !published.InForce {
			return errors.New("revocation not in force")
		}
		all = append(all, time.Since(start))
	}
	b.add(row{Name: "revoke: in force at the quorum, p50", Value: percentile(all, 0.5), Unit: "ms"})
	b.add(row{Name: "revoke: in force at the quorum, p99", Value: percentile(all, 0.99), Unit: "ms", Budget: "≤ 1,000 ms",
		Limit: b.value("bare loopback TLS 1.3 h2 round trip") + b.value("bare fsync of 4 KB"), LimitName: "one TLS round trip + one fsync"})
	return nil
}

func memory(_ context.Context, b *bench, r *running) error {
	if b.data == "" {
		return nil
	}
	keeper, gateway, all, err := r.rss()
	if err != nil {
		return err
	}
	b.add(row{Name: "memory: keeper after the import", Value: keeper, Unit: "MiB", Budget: "≤ 150 MB at 1 M records", Detail: fmt.Sprintf("%d resources", r.count)})
	b.add(row{Name: "memory: gateway after the import", Value: gateway, Unit: "MiB"})
	b.add(row{Name: "memory: whole network after the import", Value: all, Unit: "MiB", Budget: "≤ 2 GB"})
	return nil
}
