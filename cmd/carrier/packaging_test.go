package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/goccy/go-yaml"
	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"carrier/internal/config"
)

// configs is the folder of what is packaged.
const configs = "../../configs/"

// makeSecrets runs configs/secrets.sh, as someone who installs the service does, and returns the folder.
func makeSecrets(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("secrets.sh is for a Unix shell")
	}
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("secrets.sh needs a shell: there is no sh on PATH")
	}
	folder := filepath.Join(t.TempDir(), "secrets")
	script := exec.Command("sh", configs+"secrets.sh", folder)
	script.Env = append(os.Environ(), "SF_SECRET=an-appsecret")
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("secrets.sh: %v\n%s", err, out)
	}
	return folder
}

// TestSecretsScript makes secrets, makes them again, and looks who may read them.
func TestSecretsScript(t *testing.T) {
	folder := makeSecrets(t)
	before := secretsIn(t, folder)
	out, err := exec.Command("sh", configs+"secrets.sh", folder).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("a second time: %v, and it says %q; want nothing", err, out)
	}
	if after := secretsIn(t, folder); !maps.Equal(before, after) {
		t.Error("a second time it changed secrets that were there")
	}
	seen := map[string]string{}
	for name, secret := range before {
		if other, twice := seen[secret]; twice {
			t.Errorf("%s and %s are the same", name, other)
		}
		seen[secret] = name
	}
	info, err := os.Stat(folder)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v, want 0700; %v", info.Mode(), err)
	}
	out, err = exec.Command("sh", configs+"secrets.sh", filepath.Join(t.TempDir(), "new")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "SF_SECRET") {
		t.Errorf("without an AppSecret: %v, %q; want a failure that names SF_SECRET", err, out)
	}
}

func secretsIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	secrets := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		secrets[e.Name()] = strings.TrimSpace(read(t, filepath.Join(folder, e.Name())))
	}
	return secrets
}

// dockerfile is what the tests want to know of configs/Dockerfile.
type dockerfile struct {
	text                    string
	env                     map[string]string
	entrypoint, cmd, health []string
}

func readDockerfile(t *testing.T) *dockerfile {
	t.Helper()
	d := &dockerfile{text: strings.ReplaceAll(read(t, configs+"Dockerfile"), "\\\n", " "), env: map[string]string{}}
	for line := range strings.Lines(d.text) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "ENV":
			for _, pair := range strings.Fields(rest) {
				name, value, _ := strings.Cut(pair, "=")
				d.env[name] = value
			}
		case "ENTRYPOINT":
			d.entrypoint = words(t, rest)
		case "CMD":
			d.cmd = words(t, rest)
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, "CMD ")
			d.health = words(t, command)
		}
	}
	return d
}

// words reads the JSON form of a command.
func words(t *testing.T, text string) (list []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return list
}

// parses tells what is wrong with a command line of carrier's.
func parses(args ...string) error {
	parser, err := kong.New(&commands{}, kong.BindTo(context.Background(), (*context.Context)(nil)), kong.Bind(&world{}))
	if err != nil {
		return err
	}
	_, err = parser.Parse(args)
	return err
}

// TestDockerfile holds the image against the repository: the toolchain, how the binary is built, what it is asked, and
// where it listens.
func TestDockerfile(t *testing.T) {
	d := readDockerfile(t)
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	built := regexp.MustCompile(`go build (.*) -o`).FindStringSubmatch(d.text)
	makes := regexp.MustCompile(`CGO_ENABLED=0 go build (.*) -o`).FindStringSubmatch(read(t, "../../Makefile"))
	if built == nil || makes == nil ||
		strings.ReplaceAll(built[1], `"`, "'") != strings.ReplaceAll(makes[1], "$(VERSION)", "$VERSION") {
		t.Errorf("the image builds with %q, and make build with %q", built, makes)
	}
	for _, want := range []string{
		"golang:" + goVersion + " AS build", "CGO_ENABLED=0", "FROM scratch", "USER 65532:65532", "STOPSIGNAL SIGTERM",
		"VOLUME /data", "WORKDIR /data", "--chown=65532:65532", "EXPOSE 8080 8081", "ca-certificates.crt",
	} {
		if !strings.Contains(d.text, want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
	if !slices.Equal(d.entrypoint, []string{"/carrier"}) || d.health[0] != "/carrier" {
		t.Errorf("it starts %q and asks %q; want /carrier", d.entrypoint, d.health)
	}
	for _, args := range [][]string{d.cmd, d.health[1:]} {
		if err := parses(args...); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	c, err := config.Load("", environment(d.env))
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.AdminURL() != d.env["CARRIER_ADMIN_URL"] || c.Server.Listen != "0.0.0.0:8080" || c.Server.AdminListen != "0.0.0.0:8081" {
		t.Errorf("the image listens on %+v and looks for itself at %s", c.Server, d.env["CARRIER_ADMIN_URL"])
	}
	// Nothing is open to the container's network without credentials.
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "no source") || !strings.Contains(err.Error(), "no admin token") {
		t.Errorf("without a configuration it says %v", err)
	}
}

// environment makes NAME=VALUE lines.
func environment(variables map[string]string) (env []string) {
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	return env
}

// composition is what the tests want to know of a compose file.
type composition struct {
	Services map[string]composed
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

type composed struct {
	Image       string
	Build       struct{ Context, Dockerfile string }
	Command     []string
	Environment map[string]string
	Secrets     []string
	Volumes     []string
	Ports       []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct{ Test []string }
	Restart     string
	StopGrace   string   `yaml:"stop_grace_period"`
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
}

func readComposition(t *testing.T, file string) *composition {
	t.Helper()
	var c composition
	if err := yaml.Unmarshal([]byte(read(t, configs+file)), &c); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return &c
}

// TestCompose holds the compose files against the image, the secrets script, the files beside them and the
// configuration that they start with.
func TestCompose(t *testing.T) {
	image, folder := readDockerfile(t), makeSecrets(t)
	for _, c := range []struct {
		file  string
		nodes int
	}{{"compose.yaml", 1}, {"compose.nodes.yaml", 3}} {
		t.Run(c.file, func(t *testing.T) {
			parts := readComposition(t, c.file)
			nodes := 0
			for name, s := range parts.Services {
				parts.fits(t, name, &s, image)
				if s.Image == "carrier" {
					nodes++
					startsWith(t, name, &s, image, folder)
				}
			}
			if nodes != c.nodes {
				t.Errorf("%d nodes, want %d", nodes, c.nodes)
			}
			for name, secret := range parts.Secrets {
				if secret.File != "./secrets/"+name {
					t.Errorf("the secret %s is %s", name, secret.File)
				}
				if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
					t.Errorf("secrets.sh makes no %s", name)
				}
			}
		})
	}
}

// fits looks for what one service names in the rest of the file.
func (c *composition) fits(t *testing.T, name string, s *composed, image *dockerfile) {
	t.Helper()
	for _, secret := range s.Secrets {
		if c.Secrets[secret].File == "" {
			t.Errorf("%s: there is no secret %s", name, secret)
		}
	}
	for _, volume := range s.Volumes {
		from, _, _ := strings.Cut(volume, ":")
		_, named := c.Volumes[from]
		_, err := os.Stat(configs + from)
		if !named && err != nil && !strings.HasPrefix(from, "./secrets/") {
			t.Errorf("%s: there is no volume or file %s", name, from)
		}
	}
	for other, on := range s.DependsOn {
		it, there := c.Services[other]
		checked := len(it.Healthcheck.Test) > 0 || it.Image == "carrier" && len(image.health) > 0
		if !there || on.Condition != "service_healthy" || !checked {
			t.Errorf("%s waits for %s (%s), of which nobody knows whether it is healthy", name, other, on.Condition)
		}
	}
	for _, port := range s.Ports {
		if !strings.HasPrefix(port, "127.0.0.1:") {
			t.Errorf("%s: port %s is open to the network", name, port)
		}
	}
	for variable, value := range s.Environment {
		if strings.Contains(variable, "PASSWORD") && !strings.HasPrefix(value, "/run/secrets/") {
			t.Errorf("%s: %s stands in the file", name, variable)
		}
	}
	if s.Restart == "" {
		t.Errorf("%s is not started again", name)
	}
}

// startsWith reads a service's configuration as it would: the file that is mounted, its environment over the image's,
// and the secrets that it gets.
func startsWith(t *testing.T, name string, s *composed, image *dockerfile, folder string) {
	t.Helper()
	if err := parses(s.Command...); err != nil {
		t.Errorf("%s: %q: %v", name, s.Command, err)
	}
	if !slices.Contains(s.Volumes, "./deploy.yaml:"+s.Command[len(s.Command)-1]+":ro") {
		t.Errorf("%s reads %q, and %q are mounted", name, s.Command, s.Volumes)
	}
	if grace, err := time.ParseDuration(s.StopGrace); err != nil || grace <= 30*time.Second {
		t.Errorf("%s has %q to stop; it may need 30s", name, s.StopGrace)
	}
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Build.Dockerfile != "configs/Dockerfile" {
		t.Errorf("%s: read only %v, without %v, built of %v", name, s.ReadOnly, s.CapDrop, s.Build)
	}
	given := t.TempDir() // /run/secrets in the container.
	for _, secret := range s.Secrets {
		if err := os.WriteFile(filepath.Join(given, secret), []byte(read(t, filepath.Join(folder, secret))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := maps.Clone(image.env)
	maps.Copy(env, s.Environment)
	for variable, value := range env {
		env[variable] = strings.Replace(value, "/run/secrets", given, 1)
	}
	c, err := config.Load(configs+"deploy.yaml", environment(env))
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatalf("%s does not start: %v", name, err)
	}
	// Whoever installs it writes his AppID; and the network between the containers is theirs alone.
	if w := c.Warnings(); len(w) != 2 || !strings.HasPrefix(w[0], "accounts[0].appid: is the example's") || !strings.HasPrefix(w[1], "nats.url: the password travels unencrypted") {
		t.Errorf("%s starts with warnings: %q", name, w)
	}
}

// TestComposedNATS starts the NATS server that the compose files describe.
func TestComposedNATS(t *testing.T) {
	folder, home := makeSecrets(t), t.TempDir()
	for name, text := range map[string]string{
		"nats.conf": strings.NewReplacer("store_dir: /data", fmt.Sprintf("store_dir: %q", t.TempDir()), "4222", "-1", "8222", "-1").
			Replace(read(t, configs+"nats.conf")),
		"auth.conf": read(t, filepath.Join(folder, "nats_auth.conf")),
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, err := natsserver.ProcessConfigFile(filepath.Join(home, "nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if !o.JetStream || !o.SyncAlways {
		t.Errorf("JetStream %v, sync_interval always %v; want both", o.JetStream, o.SyncAlways)
	}
	o.NoLog, o.NoSigs = true, true
	server, err := natsserver.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go server.Start()
	t.Cleanup(func() { server.Shutdown(); server.WaitForShutdown() })
	if !server.ReadyForConnections(soon) {
		t.Fatal("the NATS server does not start")
	}
	password := strings.TrimSpace(read(t, filepath.Join(folder, "nats_password")))
	for _, c := range []struct {
		password string
		want     error
	}{{password, nil}, {"another", nats.ErrAuthorization}} {
		conn, err := nats.Connect(server.ClientURL(), nats.UserInfo("carrier", c.password))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (c.want == nil) {
			t.Errorf("connecting: %v, want %v", err, c.want)
		}
	}
}

// TestComposedVersions holds the tags of images against the libraries that the tests run.
func TestComposedVersions(t *testing.T) {
	tested := regexp.MustCompile(`nats-server/v2 v(\d+\.\d+)`).FindStringSubmatch(read(t, "../../go.mod"))[1]
	for _, file := range []string{"compose.yaml", "compose.nodes.yaml"} {
		if got := readComposition(t, file).Services["nats"].Image; got != "nats:"+tested+"-alpine" {
			t.Errorf("%s runs %s; the tests run NATS %s", file, got, tested)
		}
	}
	nodes, proxy := readComposition(t, "compose.nodes.yaml"), read(t, configs+"nodes.Caddyfile")
	for name, s := range nodes.Services {
		if s.Image == "carrier" && !strings.Contains(proxy, name+":8080") {
			t.Errorf("nodes.Caddyfile sends nothing to %s", name)
		}
	}
	for _, want := range []string{"health_port 8081", "health_uri /readyz"} {
		if !strings.Contains(proxy, want) {
			t.Errorf("nodes.Caddyfile has no %q", want)
		}
	}
}
