# Puts a page into the folder of the instance, and a descriptor of it where the Tomcat above looks.
class roboconf_webapp::start (
  $runningState = undef,
) {
  $app = "${facts['fieldconf_data_dir']}/app"
  $tomcat = $facts['fieldconf_parent_data_dir']
  $context = "Catalina/localhost/${facts['fieldconf_instance_name']}"

  file { $app:
    ensure => directory,
  }
  -> file { "${app}/index.jsp":
    content => epp('roboconf_webapp/index.jsp.epp', { 'path' => $facts['fieldconf_instance_path'] }),
  }
  # Last, since Tomcat looks at any moment.
  -> file { "${tomcat}/conf/${context}.xml":
    content => "<Context docBase=\"${app}\"/>\n",
  }
  # Tomcat makes this folder when it takes an application in.
  -> exec { 'Tomcat has it':
    command   => "test -d ${context}",
    cwd       => "${tomcat}/work",
    path      => ['/usr/bin', '/bin'],
    tries     => 60,
    try_sleep => 1,
  }
}
