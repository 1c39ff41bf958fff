# A page in the folder of the instance. The Tomcat above serves it as long as it finds a descriptor.
class roboconf_webapp (
  $runningState = undef,
  $importDiff   = undef,
) {
  $app = "${facts['fieldconf_data_dir']}/app"
  $tomcat = $facts['fieldconf_parent_data_dir']
  $context = "Catalina/localhost/${facts['fieldconf_instance_name']}"

  if $runningState == 'running' {
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
      command   => "test -d ${tomcat}/work/${context}",
      path      => ['/usr/bin', '/bin'],
      tries     => 60,
      try_sleep => 1,
    }
  } else {
    file { "${tomcat}/conf/${context}.xml":
      ensure => absent,
    }
  }
}
