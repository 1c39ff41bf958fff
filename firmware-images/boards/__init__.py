"""The boards that come with Fieldconf; `fieldconf_firmware_images.boards` reads them."""
