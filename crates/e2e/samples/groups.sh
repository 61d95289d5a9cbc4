curl --location --request POST 'https://{{bot_url}}/api/groups' \
--header 'secretkey: {{secret_key}}' \
--data ''
