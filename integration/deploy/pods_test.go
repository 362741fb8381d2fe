package deploy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"sigs.k8s.io/yaml"

	"github.com/scheduler-store/scheduler-store/integration/servers"
)

const (
	namespace     = "scheduler-store"
	clusterDomain = "cluster.local"
	token         = "token-of-the-test"
	// The addresses of the pods, the router and the name server.
	podAddress     = "127.0.84.%d"
	routerAddress  = "127.0.84.254"
	namesAddress   = "127.0.84.253"
	statefulSet    = root + "/deploy/kubernetes/base/statefulset.yaml"
	headlessDomain = "scheduler-store-pods." + namespace + ".svc." + clusterDomain
)

// manifest is what is played of a StatefulSet.
type manifest struct {
	Spec struct {
		ServiceName     string
		Replicas        int
		MinReadySeconds int
		Template        struct {
			Spec struct {
				TerminationGracePeriodSeconds int
				Containers                    []container
			}
		}
	}
}

type container struct {
	Args []string
	Env  []struct {
		Name, Value string
		ValueFrom   struct{ FieldRef struct{ FieldPath string } }
	}
	LivenessProbe, ReadinessProbe probe
	Lifecycle                     struct {
		PreStop struct{ Sleep struct{ Seconds int } }
	}
}

type probe struct {
	HTTPGet                         struct{ Path, Port string }
	PeriodSeconds, FailureThreshold int
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// cluster plays the parts of Kubernetes that a rollout needs: addresses, names, probes, and
// the order in which the pods of a StatefulSet are replaced. The pods are processes in the
// image's tree, with the arguments and variables of the manifest and each with an address of
// its own, which is another one after each restart.
type cluster struct {
	t           *testing.T
	image       *image
	tree        string
	manifest    manifest
	environment []string // what an overlay would add
	scheme      string
	client      *http.Client // for the probes

	mu   sync.Mutex
	pods map[string]*pod // by name; a pod that is being replaced is not there
	next int
}

type pod struct {
	*servers.Process
	name, address string
	ready         bool
}

func newCluster(t *testing.T, environment ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, image: theImage(t), environment: environment, scheme: "http", pods: map[string]*pod{}, next: 1}
	text, err := os.ReadFile(statefulSet)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &c.manifest); err != nil {
		t.Fatal(err)
	}
	if spec := c.manifest.Spec; spec.Replicas != 3 || len(spec.Template.Spec.Containers) != 1 || spec.Template.Spec.Containers[0].ReadinessProbe.HTTPGet.Path == "" {
		t.Fatalf("the manifest is read as %+v", spec)
	}
	c.tree = c.image.tree(t)
	c.write("etc/scheduler-store/tokens", token+"\n")
	c.write("etc/resolv.conf", fmt.Sprintf("nameserver %s\nsearch %s.svc.%s svc.%[3]s %[3]s\noptions ndots:5\n", namesAddress, namespace, clusterDomain))
	c.client = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.dial}}
	c.answerNames()
	return c
}

// write puts a file into the pods' tree, as a mounted Secret is.
func (c *cluster) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.tree, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) container() container { return c.manifest.Spec.Template.Spec.Containers[0] }

func (c *cluster) podName(ordinal int) string { return fmt.Sprint("scheduler-store-", ordinal) }

// lookup is the address of a pod.
func (c *cluster) lookup(name string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.pods[name]
	if !ok {
		return "", false
	}
	return p.address, true
}

// ready are the names of the pods that a Service would send requests to.
func (c *cluster) ready() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.pods {
		if p.ready {
			names = append(names, name)
		}
	}
	return names
}

// dial reaches pods by the names that they advertise.
func (c *cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if name, inCluster := strings.CutSuffix(host, "."+strings.TrimSuffix(headlessDomain, "."+clusterDomain)); inCluster {
		found, ok := c.lookup(name)
		if !ok {
			return nil, fmt.Errorf("no such host: %s", host)
		}
		address = net.JoinHostPort(found, port)
	}
	return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, address)
}

// start starts the pod of an ordinal. It has its name and address at once.
func (c *cluster) start(ordinal int) *pod {
	c.t.Helper()
	p := &pod{name: c.podName(ordinal)}
	c.mu.Lock()
	p.address = fmt.Sprintf(podAddress, c.next)
	c.next++
	c.pods[p.name] = p
	c.mu.Unlock()

	spec := c.container()
	values := map[string]string{}
	var environment []string
	for _, variable := range spec.Env {
		value := variable.Value
		switch variable.ValueFrom.FieldRef.FieldPath {
		case "metadata.name":
			value = p.name
		case "metadata.namespace":
			value = namespace
		}
		if variable.Name == "ADVERTISED_SCHEME" {
			value = c.scheme
		}
		values[variable.Name] = value
		environment = append(environment, variable.Name+"="+value)
	}
	args := []string{}
	for _, arg := range spec.Args {
		for name, value := range values {
			arg = strings.ReplaceAll(arg, "$("+name+")", value)
		}
		// All pods are on one host here.
		arg = strings.ReplaceAll(arg, "--listen=:", "--listen="+p.address+":")
		args = append(args, arg)
	}
	command := c.image.process(c.t, c.tree, append(environment, c.environment...), args...)
	servers.KeepLog(c.t, command)
	p.Process = servers.StartProcess(c.t, command)
	return p
}

// url is where a pod is, with the manifest's port.
func (c *cluster) url(p *pod) string { return c.scheme + "://" + p.address + ":8410" }

func (c *cluster) probe(p *pod, what probe) error {
	response, err := c.client.Get(c.url(p) + what.HTTPGet.Path)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 399 {
		return fmt.Errorf("%s", response.Status)
	}
	return nil
}

// waitReady probes a pod as the kubelet would, and waits until it is available.
func (c *cluster) waitReady(p *pod) {
	c.t.Helper()
	spec := c.container()
	deadline := time.Now().Add(time.Minute)
	for err := c.probe(p, spec.ReadinessProbe); err != nil; err = c.probe(p, spec.ReadinessProbe) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s is not ready: %v", p.name, err)
		}
		time.Sleep(seconds(spec.ReadinessProbe.PeriodSeconds) / 10) // sooner than the kubelet
	}
	c.mu.Lock()
	p.ready = true
	c.mu.Unlock()
}

// replace ends a pod and starts it anew, as a rollout does: reads go elsewhere, then
// preStop, SIGTERM, and the grace period; then a new one until it is available.
func (c *cluster) replace(ordinal int) {
	c.t.Helper()
	name := c.podName(ordinal)
	c.mu.Lock()
	old := c.pods[name]
	old.ready = false
	c.mu.Unlock()
	spec := c.manifest.Spec.Template.Spec
	begun := time.Now()
	time.Sleep(seconds(c.container().Lifecycle.PreStop.Sleep.Seconds))
	old.Signal(syscall.SIGTERM)
	select {
	case <-old.Ended():
		c.t.Logf("%s ended %v after it was told to", name, time.Since(begun).Round(time.Millisecond))
	case <-time.After(seconds(spec.TerminationGracePeriodSeconds) - time.Since(begun)):
		c.t.Errorf("%s did not end in its %d s", name, spec.TerminationGracePeriodSeconds)
		old.Kill()
	}
	c.mu.Lock()
	delete(c.pods, name)
	c.mu.Unlock()
	c.waitReady(c.start(ordinal))
	time.Sleep(seconds(c.manifest.Spec.MinReadySeconds))
}

// answerNames is the cluster's name server: each pod's name, and all of them under the
// name of the headless Service, whether they are ready or not.
func (c *cluster) answerNames() {
	c.t.Helper()
	conn, err := net.ListenPacket("udp", net.JoinHostPort(namesAddress, "53"))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := c.answer(buffer[:n]); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
}

func (c *cluster) answer(question []byte) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil || len(m.Questions) != 1 {
		return nil, fmt.Errorf("not understood: %v", err)
	}
	m.Response, m.Authoritative, m.Additionals = true, true, nil
	asked := m.Questions[0]
	addresses := c.addresses(strings.ToLower(strings.TrimSuffix(asked.Name.String(), ".")))
	if len(addresses) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, address := range addresses {
		if asked.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: asked.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 5},
				Body:   &dnsmessage.AResource{A: [4]byte(net.ParseIP(address).To4())},
			})
		}
	}
	return m.Pack()
}

func (c *cluster) addresses(name string) (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pods {
		if name == headlessDomain || name == p.name+"."+headlessDomain {
			all = append(all, p.address)
		}
	}
	return all
}

// startRouter starts the router with the configuration of the manifests, but for the
// addresses that it listens on and where names come from.
func (c *cluster) startRouter(variables ...string) {
	c.t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		c.t.Skip("there is no haproxy; install the package of that name")
	}
	config, err := os.ReadFile(root + "/deploy/kubernetes/components/leader/haproxy.cfg")
	if err != nil {
		c.t.Fatal(err)
	}
	text := strings.NewReplacer(
		"bind :::8410 v4v6", "bind "+routerAddress+":8410",
		"bind :::8411 v4v6", "bind "+routerAddress+":8411",
		"parse-resolv-conf", "nameserver test "+namesAddress+":53",
		"/etc/tls", filepath.Join(c.tree, "etc/tls"),
	).Replace(string(config))
	file := filepath.Join(c.t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	variables = append(variables, "POD_NAMESPACE="+namespace, "CLUSTER_DOMAIN="+clusterDomain)
	runIn(c.t, ".", variables, binary, "-c", "-f", file)
	command := exec.Command(binary, "-db", "-f", file)
	command.Env = append(os.Environ(), variables...)
	servers.KeepLog(c.t, command)
	servers.StartProcess(c.t, command)
	waitFor(c.t, "http://"+routerAddress+":8411/healthz", http.StatusOK)
}
