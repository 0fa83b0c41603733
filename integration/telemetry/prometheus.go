// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ironic-edge/ironic-edge/integration/daemon"
)

const startTimeout = time.Minute // a second on an idle machine

// prometheus is a running server.
type prometheus struct {
	url, log string
	process  *daemon.Daemon
}

// startPrometheus runs Debian's Prometheus, which scrapes an edge's admin API each second and knows the alerts in rules.
func startPrometheus(ctx context.Context, dir, edge, rules string) (*prometheus, error) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		return nil, fmt.Errorf("Prometheus is not installed (run integration/install.d/prometheus.sh): %w", err)
	}
	port, err := daemon.FreePort()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [%q]\nscrape_configs:\n  - job_name: ironic-edge\n    static_configs:\n      - targets: [%q]\n", rules, edge)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p := &prometheus{url: "http://127.0.0.1:" + port, log: filepath.Join(dir, "prometheus.log")}
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:"+port)
	if p.process, err = daemon.Start(cmd, p.log); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.process.WaitUntil(ctx, func() bool { return p.get(ctx, "/-/ready", nil, nil) == nil }); err != nil {
		return nil, errors.Join(fmt.Errorf("start Prometheus: %w: %s", err, p.output()), p.process.Kill())
	}
	return p, nil
}

func (p *prometheus) output() string {
	b, _ := os.ReadFile(p.log)
	return daemon.Tail(string(b))
}

// get asks the API, and decodes the data of its answer, if any is wanted.
func (p *prometheus) get(ctx context.Context, path string, query url.Values, data any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if data == nil && response.StatusCode == http.StatusOK {
		return nil
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("status %d: %w", response.StatusCode, err)
	}
	if answer.Status != "success" {
		return errors.New(answer.Error)
	}
	return nil
}

// samples is how many series a query results in.
func (p *prometheus) samples(ctx context.Context, expression string) (int, error) {
	var found struct{ Result []json.RawMessage }
	err := p.get(ctx, "/api/v1/query", url.Values{"query": {expression}}, &found)
	return len(found.Result), err
}

// names are those of all metrics.
func (p *prometheus) names(ctx context.Context) (names []string, err error) {
	return names, p.get(ctx, "/api/v1/label/__name__/values", nil, &names)
}

// labels are those of a metric beside the ones that Prometheus adds, sorted. A metric that is not there is an error.
func (p *prometheus) labels(ctx context.Context, name string) (string, error) {
	var names []string
	if err := p.get(ctx, "/api/v1/labels", url.Values{"match[]": {name}}, &names); err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", errors.New("it is not there")
	}
	names = slices.DeleteFunc(names, func(label string) bool { return label == "__name__" || label == "instance" || label == "job" })
	slices.Sort(names)
	return strings.Join(names, " "), nil
}

// rule is an alert as Prometheus has it.
type rule struct {
	Name, Query, State, Health, LastError string
	Labels, Annotations                   map[string]string
}

func (p *prometheus) rules(ctx context.Context) (all []rule, err error) {
	var found struct{ Groups []struct{ Rules []rule } }
	if err := p.get(ctx, "/api/v1/rules", nil, &found); err != nil {
		return nil, err
	}
	for _, g := range found.Groups {
		all = append(all, g.Rules...)
	}
	return all, nil
}
