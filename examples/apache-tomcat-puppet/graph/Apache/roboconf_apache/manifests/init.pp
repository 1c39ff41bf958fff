# A private Apache in the folder of the instance. One class for all steps: what it is told differs.
class roboconf_apache (
  $runningState = undef,
  $importDiff   = undef,
  $ip           = undef,
  $port         = undef,
  $tomcat       = undef,  # of each Tomcat, by path: ip, portajp
) {
  unless find_file('/usr/lib/apache2/modules/mod_jk.so') {
    fail('needs Apache and mod_jk: apt install apache2-bin libapache2-mod-jk')
  }
  $dir = $facts['fieldconf_data_dir']
  $apache = "/usr/sbin/apache2 -f ${dir}/httpd.conf"
  $lives = "/usr/bin/pgrep --pidfile ${dir}/apache.pid apache2"
  $told = { 'dir' => $dir, 'ip' => $ip, 'port' => $port }

  file {
    "${dir}/httpd.conf":
      content => epp('roboconf_apache/httpd.conf.epp', $told);
    "${dir}/workers.properties":
      content => epp('roboconf_apache/workers.properties.epp', { 'tomcats' => $tomcat });
  }

  # `update` says nothing of the state; Apache reads its workers again when the file has changed.
  service { 'apache':
    ensure    => $runningState,
    provider  => base,
    start     => "${apache} -k start",
    restart   => "${apache} -k graceful",
    stop      => "${apache} -k stop; timeout 20 sh -c 'while ${lives}; do sleep 0.1; done'",
    status    => $lives,
    subscribe => File["${dir}/httpd.conf", "${dir}/workers.properties"],
  }
}
