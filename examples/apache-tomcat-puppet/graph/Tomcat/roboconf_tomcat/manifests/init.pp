# A private Tomcat, a CATALINA_BASE in the folder of the instance. One class for all steps.
class roboconf_tomcat (
  $runningState = undef,
  $importDiff   = undef,
  $ip           = undef,
  $portajp      = undef,
) {
  unless find_file('/usr/share/tomcat10/bin/catalina.sh') {
    fail('needs Tomcat: apt install tomcat10-common')
  }
  $dir = $facts['fieldconf_data_dir']
  $settings = "CATALINA_BASE=${dir} CATALINA_PID=${dir}/pid CATALINA_OPTS=-Xmx96m"
  $catalina = "env ${settings} /usr/share/tomcat10/bin/catalina.sh"
  $listens = "bash -c '</dev/tcp/${ip}/${portajp}'"
  $told = {
    'ip'      => $ip,
    'portajp' => $portajp,
    'route'   => $facts['fieldconf_clean_instance_path'],
  }

  file {
    ["${dir}/conf", "${dir}/conf/Catalina", "${dir}/conf/Catalina/localhost"]:
      ensure => directory;
    ["${dir}/logs", "${dir}/temp", "${dir}/webapps"]:
      ensure => directory;
    "${dir}/conf/web.xml":
      source => 'puppet:///modules/roboconf_tomcat/web.xml';
    "${dir}/conf/server.xml":
      content => epp('roboconf_tomcat/server.xml.epp', $told);
  }

  service { 'tomcat':
    ensure   => $runningState,
    provider => base,
    start    => "${catalina} start",
    stop     => "${catalina} stop 10 -force",
    status   => "pgrep --pidfile ${dir}/pid java",
    require  => File["${dir}/conf/web.xml", "${dir}/conf/server.xml"],
  }
  if $runningState == 'running' {
    exec { 'Tomcat listens':
      command   => $listens,
      path      => ['/usr/bin', '/bin'],
      tries     => 60,
      try_sleep => 1,
      require   => Service['tomcat'],
    }
  }
}
