package local_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// built is the folder of the daemons, which TestMain builds once.
var built = filepath.Join(os.TempDir(), fmt.Sprintf("abaton-local-test-%d", os.Getpid()))

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	defer os.RemoveAll(built)
	build := exec.Command("go", "build", "-o", built+string(filepath.Separator),
		"github.com/abaton-health/abaton/cmd/abaton-keeper", "github.com/abaton-health/abaton/cmd/abaton-gateway",
		"github.com/abaton-health/abaton/cmd/abaton-authority")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func TestLifeOfANetwork(t *testing.T) {
	bin, dir := built, filepath.Join(t.TempDir(), "net")
	if _, err := local.Open(dir); !errors.Is(err, local.ErrNone) {
		t.Fatalf("open nothing: got %v, want ErrNone", err)
	}
	if err := os.MkdirAll(dir+".making/keeper1", 0o700); err != nil { // an earlier try that was cut off
		t.Fatal(err)
	}
	n, err := local.Make(t.Context(), dir, local.Options{Binaries: bin, Keeper: map[string]any{"cache_mb": 4}})
	if err != nil {
		t.Fatal(err)
	}
	same, err := local.Make(t.Context(), dir, local.Options{Binaries: bin})
	if err != nil || same.Set().ID() != n.Set().ID() || same.GatewayURL() != n.GatewayURL() {
		t.Fatalf("make again: got %v, want the same network", err)
	}
	settings, err := os.ReadFile(filepath.Join(n.KeeperDir(1), "keeper.toml"))
	if err != nil || !strings.Contains(string(settings), "cache_mb = 4") {
		t.Errorf("keeper settings: got %s, %v, want cache_mb = 4", settings, err)
	}
	p, err := n.Start(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := same.Start(t.Context(), bin); !errors.Is(err, local.ErrRunning) {
		t.Errorf("start twice: got %v, want ErrRunning", err)
	}
	losesAndRegains(t, p)
	if err := p.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		if p.Running(x) {
			t.Errorf("keeper %d runs after Stop", x)
		}
	}
	select {
	case err := <-p.Failed():
		t.Errorf("a process that was told to end was reported: %v", err)
	default:
	}
	resumes(t, same, bin)
}

// losesAndRegains kills a keeper and the gateway and starts them again.
func losesAndRegains(t *testing.T, p *local.Processes) {
	t.Helper()
	org, err := p.Organisation()
	if err != nil {
		t.Fatal(err)
	}
	c, closeAll, err := p.Client(org.Manage)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	if err := p.KillKeeper(3); err != nil || p.Running(3) {
		t.Fatalf("kill: %v, running %v", err, p.Running(3))
	}
	doctor, err := p.People().NewClinician("doctor", "Doctor", org)
	if err != nil {
		t.Fatal(err)
	}
	if err := people.Introduce(t.Context(), c, doctor); err != nil {
		t.Errorf("introduce with four keepers: %v", err)
	}
	if err := p.LaunchKeeper(2, local.Build{}); err == nil {
		t.Error("a keeper that runs was started again")
	}
	if err := p.StartKeeper(t.Context(), 3, local.Build{}); err != nil {
		t.Errorf("start again: %v", err)
	}
	if err := p.KillGateway(); err != nil {
		t.Errorf("kill gateway: %v", err)
	}
	if err := p.StartGateway(t.Context(), local.Build{}); err != nil {
		t.Errorf("start gateway again: %v", err)
	}
	if status(t, p.GatewayURL()+"/metadata") != http.StatusOK || status(t, p.GatewayAdminURL()+"/metrics") != http.StatusOK {
		t.Error("the gateway does not answer")
	}
}

// resumes starts a network whose admin addresses are taken meanwhile.
func resumes(t *testing.T, n *local.Network, bin string) {
	t.Helper()
	was := n.KeeperAdminURL(1)
	ln, err := net.Listen("tcp", strings.TrimPrefix(was, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p, err := n.Start(t.Context(), bin)
	if err != nil {
		t.Fatalf("start on the folder of an earlier one: %v", err)
	}
	if p.KeeperAdminURL(1) == was {
		t.Error("the taken address was kept")
	}
	if _, err := p.People().Load("doctor"); err != nil {
		t.Errorf("people: %v, want them as they were", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	again, err := local.Open(n.Dir())
	if err != nil || again.KeeperAdminURL(1) != p.KeeperAdminURL(1) {
		t.Errorf("the new address is not remembered: %v", err)
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestAProcessThatDiesIsNamed starts a keeper whose address somebody else has.
func TestAProcessThatDiesIsNamed(t *testing.T) {
	bin := built
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: bin})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", strings.TrimPrefix(n.KeeperURL(2), "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = n.Start(t.Context(), bin)
	exit, ok := errors.AsType[*local.ExitError](err)
	if !ok || exit.Name != "keeper 2" || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("start: got %v, want keeper 2 named, with the reason", err)
	}
	p, err := n.Hold(bin) // the failed start has let go of the folder
	if err != nil {
		t.Fatalf("hold after a failed start: %v", err)
	}
	if err := p.LaunchKeeper(2, local.Build{}); err != nil {
		t.Fatal(err)
	}
	if err := <-p.Failed(); !errors.As(err, &exit) || exit.Name != "keeper 2" {
		t.Errorf("failed: got %v, want keeper 2 named", err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestMakeTouchesNothingElse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Make(t.Context(), dir, local.Options{Binaries: dir}); err == nil {
		t.Error("a network was made in a folder that holds other things")
	}
	fresh := filepath.Join(dir, "net")
	if _, err := local.Make(t.Context(), fresh, local.Options{Binaries: filepath.Join(dir, "no-such-folder")}); err == nil {
		t.Error("a network was made without binaries")
	}
	left, err := filepath.Glob(fresh + "*")
	if err != nil || len(left) != 0 {
		t.Errorf("a failed Make left %v, want nothing", left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := local.Make(ctx, fresh, local.Options{Binaries: built}); err == nil {
		t.Error("a cancelled Make went on")
	}
}

func TestDamagedNetworkIsRefused(t *testing.T) {
	n, err := local.Make(t.Context(), filepath.Join(t.TempDir(), "net"), local.Options{Binaries: built})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(n.Dir(), "network.json")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no JSON":         "{",
		"another version": strings.Replace(string(good), `"v": 1`, `"v": 2`, 1),
		"another set":     strings.Replace(string(good), n.Set().ID().String(), fmt.Sprint(abaton.ActorID{7}), 1),
	} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := local.Open(n.Dir()); err == nil || errors.Is(err, local.ErrNone) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
}
